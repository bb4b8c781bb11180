//! Types that stand for a schema in the OpenAPI document.

/// Stands in the OpenAPI document for a schema that [`schemas`](super::schemas) puts there.
macro_rules! named_schema {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(in crate::api) enum $name {}

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new().into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

pub(super) use named_schema;
