use super::value::{of_constant, of_default};
use super::*;

const SOURCE: &str = "\
const MAX_BODY: usize = 256 * 1024;
pub(crate) const PAGE_BYTES: usize = 2 << 20;
const TIMEOUT: Duration = Duration::from_secs(5);
const KEY_TTL: SignedDuration = SignedDuration::from_hours(24);
const CACHED: NonZeroUsize = NonZeroUsize::new(16_384).expect(\"it is not zero\");
    const QUEUE: usize = MAX_BODY;
const COMPUTED: usize = cores();
impl Default for Limits {
    fn default() -> Self {
        Self {
            pages: 8,
            deadline: Duration::from_secs(30 * 60),
        }
    }
}
impl Default for Options {
    fn default() -> Self {
        Self { connections: NonZeroUsize::new(7).expect(\"7 is not zero\") }
    }
}
";

fn violations(bound: &str, set_by: &str) -> Vec<String> {
    let page = format!(
        "# Page\n\n{HEAD} when it is full |\n|---|---|---|---|\n| q | {bound} | {set_by} | waits |\n\ntext\n"
    );
    let sources = [(PathBuf::from("a/src/limits.rs"), SOURCE.to_owned())];
    let cut = format!("{PAGE}, q: ");
    compare(&page, &sources).1.into_iter().map(|found| found.replace(&cut, "")).collect()
}

#[test]
fn table_of_this_repository_has_the_values_of_the_code() {
    assert_eq!(check(&Workspace::load().unwrap()).unwrap(), Vec::<String>::new());
}

#[test]
fn values_are_found_in_the_units_of_the_page() {
    for (bound, set_by) in [
        ("256 KiB", "`MAX_BODY` (`limits.rs`)"),
        ("3 pages of 2 MiB", "`PAGE_BYTES` (`src/limits.rs`)"),
        ("5 s each", "`TIMEOUT` (`limits.rs`)"),
        ("some, in 24 hours", "`KEY_TTL` (`limits.rs`)"),
        ("8 × 16,384; 30 minutes", "`Limits::pages`, `CACHED` (`limits.rs`), `Limits::deadline`"),
        ("262,144", "`QUEUE` (`limits.rs`)"),
        ("PostgreSQL: 7", "`connections` (`limits.rs`)"),
        ("one per job", "a set (`limits.rs`), `Limits`, `COMPUTED` (`limits.rs`)"),
    ] {
        assert_eq!(violations(bound, set_by), Vec::<String>::new(), "{bound}");
    }
}

#[test]
fn value_that_the_bound_does_not_have_is_a_violation() {
    assert_eq!(
        violations("128 KiB", "`MAX_BODY` (`limits.rs`)"),
        ["`MAX_BODY` of limits.rs is 262,144, which the row does not have"]
    );
    // A part of a number is another number.
    assert_eq!(violations("18 pages, 8,000, 80", "`Limits::pages`").len(), 1);
    assert_eq!(violations("15 s or 5 seconds", "`TIMEOUT` (`limits.rs`)").len(), 1);
    // A number of bytes is none of things.
    assert_eq!(violations("8 KiB, 8 s", "`Limits::pages`").len(), 1);
}

#[test]
fn name_that_no_file_or_more_than_one_defines_is_a_violation() {
    for name in ["GONE", "Limits::gone"] {
        assert_eq!(
            violations("4", &format!("`{name}` (`limits.rs`)")),
            [format!("no `{name}` in limits.rs")]
        );
    }
    assert_eq!(violations("4", "`MAX_BODY` (`other.rs`)"), ["no `MAX_BODY` in other.rs"]);
    assert_eq!(violations("4", "`Other::pages`, `backlog`").len(), 2);
    let sources = ["a/limits.rs", "b/limits.rs"].map(|path| (PathBuf::from(path), SOURCE.to_owned()));
    assert_eq!(find(&sources, "MAX_BODY", "limits.rs").len(), 2);
    assert_eq!(find(&sources, "MAX_BODY", "b/limits.rs").len(), 1);
}

#[test]
fn page_without_the_table_compares_nothing() {
    assert_eq!(compare("# Page\n", &[]), (0, Vec::new()));
}

#[test]
fn names_have_the_files_that_follow_them() {
    let cell = "`A`, `B_C` (`x.rs`, `y.rs`), `Type`, `T::d`; `e`";
    let named = |name, files: &[&'static str]| Named { name, files: files.to_vec() };
    assert_eq!(
        names(cell),
        [
            named("A", &["x.rs", "y.rs"]),
            named("B_C", &["x.rs", "y.rs"]),
            named("T::d", &["T"]),
            named("e", &[OPTIONS])
        ]
    );
}

#[test]
fn comments_and_types_of_fields_are_no_defaults() {
    assert_eq!(of_default("    /// pages: 8\n    pages: usize,\n", "pages"), None);
    assert_eq!(of_constant("// MAX: usize = 3;\n", "MAX"), None);
}
