use super::*;

fn list(entries: &[&str]) -> AllowList {
    let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
    AllowList::parse(&entries).unwrap()
}

fn is_allowed(entries: &[&str], host: &str, address: &str) -> bool {
    list(entries).check(host, address.parse().unwrap()).is_ok()
}

#[test]
fn metadata_and_link_local_addresses_are_refused_even_if_they_are_listed() {
    let refused = [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.0.1",
        "fe80::1",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "240.0.0.1",
    ];
    for address in refused {
        assert!(!is_allowed(&[], "hooks.example.com", address), "{address}");
        let all = ["0.0.0.0/0", "::/0", "hooks.example.com"];
        assert!(!is_allowed(&all, "hooks.example.com", address), "{address} although it is listed");
    }
}

#[test]
fn loopback_is_refused_unless_its_address_is_listed() {
    for address in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1"] {
        assert!(!is_allowed(&[], "localhost", address), "{address}");
        assert!(!is_allowed(&["localhost"], "localhost", address), "a name is not enough: {address}");
        assert!(is_allowed(&["127.0.0.0/8", "::1"], "localhost", address), "{address}");
    }
}

#[test]
fn without_a_list_other_addresses_are_allowed_and_with_one_only_those_in_it() {
    assert!(is_allowed(&[], "hooks.example.com", "93.184.216.34"));
    assert!(is_allowed(&[], "hooks.internal", "10.1.2.3"));
    assert!(is_allowed(&["Hooks.Example.com."], "hooks.example.com", "93.184.216.34"));
    assert!(is_allowed(&["10.0.0.0/8"], "hooks.internal", "10.1.2.3"));
    assert!(is_allowed(&["2001:db8::/32"], "hooks.internal", "2001:db8:1::1"));
    for (host, address) in [("hooks.example.org", "93.184.216.34"), ("hooks.internal", "11.0.0.1")] {
        assert!(!is_allowed(&["hooks.example.com", "10.0.0.0/8"], host, address), "{host} {address}");
    }
    assert!(is_allowed(&["0.0.0.0/0"], "hooks.example.com", "93.184.216.34"));
    assert!(!is_allowed(&["93.184.216.34/32"], "hooks.example.com", "93.184.216.35"));
}

#[test]
fn entries_of_another_form_are_refused() {
    for wrong in
        ["", "10.0.0.0/33", "10.0.0.0/x", "http://example.com", "example.com:443", "::1/129", "*.example.com"]
    {
        assert!(AllowList::parse(&[wrong.to_owned()]).is_err(), "{wrong}");
    }
}
