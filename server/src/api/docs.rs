//! `/docs`: a viewer of the OpenAPI document, which loads nothing from other hosts.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::home::add_page_headers;

/// The viewer styles its elements in place and draws its icons from `data:`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'";

/// Makes the routes of the viewer.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let config = Config::from("/openapi.json").validator_url("none").try_it_out_enabled(false);
    Router::from(SwaggerUi::new("/docs").config(config)).layer(from_fn(with_page_headers))
}

async fn with_page_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    add_page_headers(response.headers_mut(), POLICY);
    response
}
