//! Registers.

use super::StoreFixture;
use ecs_scheduler_core::store::{Register, StoreError};

/// A register is written under compare-and-set; a conflict changes nothing.
pub async fn a_register_is_written_under_compare_and_set(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    assert_eq!(store.get_register("brake").await.expect("it is read"), None);
    let early = store.put_register("brake", "x", Some(1), None).await.expect_err("there is none to replace");
    assert!(matches!(early, StoreError::Conflict(_)), "{early:?}");
    assert_eq!(store.put_register("brake", "on ✓", None, None).await.expect("it is new"), 1);
    for expected in [None, Some(0), Some(2)] {
        let error =
            store.put_register("brake", "x", expected, None).await.expect_err("the version is another");
        assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    }
    let stored = Register { value: "on ✓".to_owned(), version: 1 };
    assert_eq!(store.get_register("brake").await.expect("it is read"), Some(stored));
    assert_eq!(store.put_register("brake", "", Some(1), None).await.expect("the version is this"), 2);
    let stored = Register { value: String::new(), version: 2 };
    assert_eq!(store.get_register("brake").await.expect("it is read"), Some(stored));
}

/// Registers do not disturb each other, whatever their names.
pub async fn registers_do_not_disturb_each_other(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let names = ["a", "A", "a ", "ä", "idempotency/POST /jobs/1"];
    for name in names {
        assert_eq!(store.put_register(name, name, None, None).await.expect("it is new"), 1);
    }
    for name in names {
        let stored = Register { value: name.to_owned(), version: 1 };
        assert_eq!(store.get_register(name).await.expect("it is read"), Some(stored));
    }
}
