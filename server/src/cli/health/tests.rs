use super::reachable;

#[test]
fn an_address_for_everyone_is_asked_on_loopback() {
    let asked = |listen: &str| reachable(listen.parse().unwrap()).to_string();
    assert_eq!(asked("0.0.0.0:5000"), "127.0.0.1:5000");
    assert_eq!(asked("[::]:80"), "[::1]:80");
    assert_eq!(asked("10.1.2.3:80"), "10.1.2.3:80");
}
