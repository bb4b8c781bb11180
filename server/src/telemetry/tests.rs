use std::io::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use super::{json_layer, text_layer};
use crate::output::printable_lines;

/// Keeps what is logged.
#[derive(Debug, Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Page {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[test]
fn the_text_log_shows_escape_sequences_from_outside_and_does_not_obey_them() {
    let page = Page::default();
    let subscriber = tracing_subscriber::registry().with(text_layer(page.clone()));
    let hostile = "\u{1b}]0;title\u{7}\nERROR a line that nobody wrote \u{9b}2J";
    tracing::subscriber::with_default(subscriber, || {
        let _span = tracing::info_span!("firing", reason = %hostile).entered();
        tracing::warn!(job = "nightly", cause = hostile, shown = %hostile, "could not read {hostile}");
    });
    let text = String::from_utf8(page.0.lock().clone()).unwrap();
    // The colours are the log's own.
    let plain = regex_lite::Regex::new("\u{1b}\\[[0-9;]*m").unwrap().replace_all(&text, "").into_owned();
    assert_eq!(printable_lines(&plain), plain);
    assert_eq!(plain.lines().count(), 1, "{plain}");
    assert!(plain.contains(r"could not read \u{1b}]0;title\u{7}\u{a}ERROR a line"), "{plain}");
    assert!(plain.contains(r#"job="nightly""#), "{plain}");
}

#[test]
fn the_json_log_escapes_control_characters_and_marks_of_direction_and_remains_json() {
    let page = Page::default();
    let subscriber = tracing_subscriber::registry().with(json_layer(page.clone()));
    let hostile = "b\u{202e}a\u{9b}31m\u{1b}[0m\u{7f}\n\u{10ffff}ü";
    tracing::subscriber::with_default(subscriber, || {
        let _span = tracing::info_span!("firing", reason = %hostile).entered();
        tracing::warn!(job = "nightly", cause = hostile, "could not read {hostile}");
        tracing::info!("ready");
    });
    let text = String::from_utf8(page.0.lock().clone()).unwrap();
    assert_eq!(printable_lines(&text), text);
    assert!(text.contains(r"b\u202ea\u009b31m\u001b[0m\u007f\n\udbff\udfffü"), "{text}");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0]["fields"]["cause"], hostile);
    assert_eq!(lines[0]["span"]["reason"], hostile);
    assert_eq!(lines[1]["fields"]["message"], "ready");
}
