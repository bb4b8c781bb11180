//! The query protocol, which STS and SNS speak: forms, answered with XML.

use axum::body::{Body, Bytes};
use axum::http::Response;
use serde_json::{Map, Value, json};

use crate::wire::{Failure, response};
use crate::{Service, sns, sts};

/// Returns the service and the operation that a form names. The version of the API tells the service.
pub(crate) fn operation(bytes: &Bytes) -> Option<(Service, &str)> {
    let value = |name: &[u8]| {
        let mut pairs = bytes.split(|byte| *byte == b'&');
        pairs.find_map(|pair| std::str::from_utf8(pair.strip_prefix(name)?).ok())
    };
    let service = if value(b"Version=") == Some(sns::VERSION) { Service::Sns } else { Service::Sts };
    Some((service, value(b"Action=")?))
}

/// Reads a form.
pub(crate) fn read_form(bytes: &Bytes) -> Value {
    let pairs = form_urlencoded::parse(bytes);
    pairs.map(|(name, value)| (name.into_owned(), json!(value))).collect::<Map<_, _>>().into()
}

/// Makes the answer of an operation.
pub(crate) fn result(operation: &str, result: &Value) -> Value {
    json!({ (format!("{operation}Response")): { (format!("{operation}Result")): result } })
}

/// Makes the failure of an operation that the service does not have.
pub(crate) fn unknown_operation(operation: &str, version: &str) -> Failure {
    Failure::client("InvalidAction", format!("Could not find operation {operation} for version {version}"))
}

/// Writes an answer.
pub(crate) fn answer(service: Service, answer: Result<Value, Failure>) -> Response<Body> {
    let (status, document) = match answer {
        Ok(document) => (200, document),
        Err(failure) => {
            let error = json!({ "Type": failure.side(), "Code": failure.code, "Message": failure.message });
            (failure.status, json!({ "ErrorResponse": { "Error": error } }))
        }
    };
    let namespace = if service == Service::Sns { sns::XMLNS } else { sts::XMLNS };
    let mut xml = String::new();
    elements(&mut xml, &document, &format!(" xmlns=\"{namespace}\""));
    response(status, "text/xml", xml.into_bytes())
}

/// Writes the members of an object as elements; the outermost ones have these attributes. A list is its element several times.
fn elements(xml: &mut String, value: &Value, attributes: &str) {
    let Some(members) = value.as_object() else {
        let text = value.as_str().unwrap_or_default();
        return xml.push_str(&text.replace('&', "&amp;").replace('<', "&lt;"));
    };
    for (name, member) in members {
        let several = member.as_array().map_or_else(|| std::slice::from_ref(member), Vec::as_slice);
        for one in several {
            xml.push_str(&format!("<{name}{attributes}>"));
            elements(xml, one, "");
            xml.push_str(&format!("</{name}>"));
        }
    }
}
