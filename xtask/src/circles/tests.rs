use std::path::Path;

use super::{check, circles_of};
use crate::workspace::Workspace;

fn circles(files: &[(&str, &str)]) -> Vec<String> {
    let files = files.iter().map(|(path, text)| (Path::new(*path), *text));
    circles_of(Path::new("x/src"), files).into_keys().collect()
}

#[test]
fn this_workspace_has_no_circles_but_the_known_ones() {
    assert_eq!(check(&Workspace::load().unwrap()).unwrap(), Vec::<String>::new());
}

#[test]
fn modules_that_use_each_other_are_a_circle() {
    let files =
        [("lib.rs", "mod a;\nmod b;"), ("a.rs", "use crate::b::B;"), ("b.rs", "fn f() { super::a::g() }")];
    assert_eq!(circles(&files), ["x/src: a b"]);
}

#[test]
fn a_circle_is_shown_with_the_lines_that_tie_it() {
    let files = [("lib.rs", ""), ("a.rs", "\nuse crate::b::B;"), ("b.rs", "use crate::a;")];
    let found = circles_of(Path::new("x/src"), files.iter().map(|(path, text)| (Path::new(*path), *text)));
    assert_eq!(found["x/src: a b"], "  x/src/a.rs:2 a uses b\n  x/src/b.rs:1 b uses a");
}

#[test]
fn a_module_and_its_submodules_are_no_circle() {
    let files = [("lib.rs", ""), ("a.rs", "mod c; use c::C;"), ("a/c.rs", "use super::A; use crate::a::B;")];
    assert_eq!(circles(&files), Vec::<String>::new());
}

#[test]
fn submodules_tie_their_parents_and_siblings_below_a_module_are_compared() {
    let files = [
        ("lib.rs", ""),
        ("a.rs", ""),
        ("a/c.rs", "use super::d::D; use crate::b::B;"),
        ("a/d.rs", "use super::c::C;"),
        ("b.rs", ""),
        ("b/e.rs", "use crate::a::d::{self, X};"),
    ];
    assert_eq!(circles(&files), ["x/src/a: c d", "x/src: a b"]);
}

#[test]
fn exported_names_belong_to_the_module_that_defines_them() {
    let root = "mod a; mod b; mod c; pub use a::A as Z; pub use c::*; use crate::b::f;";
    let files = [
        ("lib.rs", root),
        ("a.rs", "use crate::C; pub struct A;"),
        ("b.rs", "use crate::{Z as Y, f};"),
        ("c.rs", "pub struct C; fn x() -> crate::Z { crate::Z::new() }"),
    ];
    assert_eq!(circles(&files), ["x/src: a c"]);
}

#[test]
fn an_associated_item_is_not_taken_for_a_module_of_its_name() {
    let files = [
        ("lib.rs", ""),
        ("a.rs", "pub struct A;"),
        ("a/c.rs", "use crate::a::A; use super::d::D;"),
        ("a/d.rs", "use super::A; fn f() { A::c::<u8>(); }"),
    ];
    assert_eq!(circles(&files), Vec::<String>::new());
}

#[test]
fn paths_through_an_imported_or_inline_module_count() {
    let files = [
        ("lib.rs", ""),
        ("a.rs", "pub(crate) mod i { use crate::b::B; pub fn f() {} }\nfn g() {}"),
        ("b.rs", "use super::a; struct B; fn f() { a::i::f() }"),
    ];
    assert_eq!(circles(&files), ["x/src: a b"]);
    let files = [
        ("lib.rs", ""),
        ("a.rs", "mod i { struct B; } fn g(_: i::B) {} use crate::b;"),
        ("b.rs", "use other::a;"),
    ];
    assert_eq!(circles(&files), Vec::<String>::new());
}

#[test]
fn tests_and_comments_tie_nothing() {
    let files = [
        ("lib.rs", ""),
        ("a.rs", "use crate::b::B;"),
        (
            "b.rs",
            "//! [`A`](crate::a::A)\n#[cfg(test)]\nmod tests { use crate::a::A; }\n/* crate::a::A */ const X: &str = \"crate::a::A\";",
        ),
    ];
    assert_eq!(circles(&files), Vec::<String>::new());
}

#[test]
fn imports_that_lead_in_a_ring_end() {
    let files = [
        ("lib.rs", "pub use a::X;"),
        ("a.rs", "pub use crate::X; use super::b::*;"),
        ("b.rs", "pub use crate::a::*;"),
    ];
    assert_eq!(circles(&files), ["x/src: a b"]);
}
