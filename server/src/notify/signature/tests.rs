use super::*;

/// The example of the specification's reference libraries (`testing.toPayload` of `standardwebhooks`): secret, message, signature.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const AT: i64 = 1_614_265_330;
const BODY: &str = r#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

#[test]
fn published_message_has_its_published_signature() {
    let secret = WebhookSecret::parse(SECRET).unwrap();
    let headers = secret.headers(ID, Timestamp::from_second(AT).unwrap(), BODY);
    let expected =
        [("webhook-id", ID), ("webhook-timestamp", "1614265330"), ("webhook-signature", SIGNATURE)];
    assert_eq!(headers.each_ref().map(|(name, value)| (*name, value.as_str())), expected);
}

#[test]
fn secrets_of_another_form_are_refused_without_their_text() {
    let short = format!("whsec_{}", STANDARD.encode([7; 23]));
    let long = format!("whsec_{}", STANDARD.encode([7; 65]));
    for wrong in ["", "hunter2hunter2", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!", &short, &long] {
        let error = WebhookSecret::parse(wrong).unwrap_err();
        assert!(error.contains("whsec_") && (wrong.is_empty() || !error.contains(wrong)), "{error}");
    }
    assert!(!format!("{:?}", WebhookSecret::parse(SECRET).unwrap()).contains("MfKQ"));
}
