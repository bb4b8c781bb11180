//! STS, as far as it says who is calling: the query protocol's `GetCallerIdentity`, which needs no permission.

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::Response;

use crate::place::Place;

/// Answers `GetCallerIdentity`; nothing when the call is another one.
pub(crate) fn answer(parts: &Parts, body: &Bytes) -> Option<Response<Body>> {
    let mut pairs = body.split(|byte| *byte == b'&');
    if !pairs.any(|pair| pair == b"Action=GetCallerIdentity") {
        return None;
    }
    let account = Place::signed(&parts.headers)?.account;
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{account}:user/fake</Arn><UserId>AIDAFAKE</UserId><Account>{account}</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    let response = Response::builder().header(CONTENT_TYPE, "text/xml").body(Body::from(body));
    Some(response.expect("the parts of the answer are constants"))
}
