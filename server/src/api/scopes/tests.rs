use std::collections::BTreeSet;
use std::num::NonZeroU32;

use ecs_scheduler_core::TriggerRegistry;

use super::*;

/// Routes that are not in the OpenAPI document.
const UNDOCUMENTED: [&str; 6] =
    ["/spec", "/ui/style.css", "/ui/script.js", "/docs", "/docs/", "/docs/{*rest}"];

#[test]
fn the_table_has_every_route_once_and_no_other() {
    let document = crate::api::openapi(&TriggerRegistry::new(), NonZeroU32::new(50).unwrap());
    let documented = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    let undocumented = UNDOCUMENTED.iter().map(|path| format!("GET {path}"));
    let expected: BTreeSet<String> = documented.chain(undocumented).collect();
    let table: BTreeSet<String> = ROUTES.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(table, expected);
    assert_eq!(table.len(), ROUTES.len());
}

#[test]
fn routes_about_all_jobs_need_a_token_for_all_jobs() {
    for (method, path, need) in ROUTES {
        let Need::Scope(scope, reach) = need else { continue };
        let call = format!("{method} {path}");
        assert!(scope != Scope::Admin || reach == Reach::Whole, "{call}: admin has no labels");
        assert_eq!(path.starts_with("/jobs/{id}"), reach == Reach::Job, "{call}");
        assert_eq!(path.starts_with("/firings/{id}"), reach == Reach::Firing, "{call}");
    }
}
