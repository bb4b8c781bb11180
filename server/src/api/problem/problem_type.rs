//! The kinds of problem, each with a page of its own under `/problems`.

use axum::http::StatusCode;

/// A kind of problem (RFC 9457 problem type).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum ProblemType {
    /// The body or a parameter is invalid.
    Invalid,
    /// The body is not JSON.
    Syntax,
    /// No such resource.
    NotFound,
    /// The resource has no such operation.
    Method,
    /// The name is taken.
    Exists,
    /// Two requests changed the same thing at the same time.
    Contended,
    /// The job has something under way of which there is one at a time.
    UnderWay,
    /// The condition of a conditional request does not hold.
    Stale,
    /// The body is too large.
    TooLarge,
    /// The body has another media type than JSON.
    MediaType,
    /// The body did not arrive in time.
    Slow,
    /// The client has no valid token.
    Unauthenticated,
    /// The client's token does not permit the request.
    Forbidden,
    /// The request does not have exactly one valid host.
    Host,
    /// The request is for another host.
    ForeignHost,
    /// A page of another site sends the request.
    ForeignSite,
    /// An idempotency key was used for another request before.
    KeyReused,
    /// The first request with the same idempotency key is not answered yet.
    KeyPending,
    /// More requests than the operation allows.
    TooMany,
    /// The stored job is not valid.
    Unprocessable,
    /// Another service refuses the scheduler what the request needs.
    Denied,
    /// The scheduler cannot answer now.
    Unavailable,
    /// An internal error.
    Internal,
}

/// The interval of tests of channels in the long run, in seconds.
pub(in crate::api) const TEST_INTERVAL_SECONDS: u16 = 6;

/// Slug, status, title.
type ProblemRow = (&'static str, u16, &'static str);

impl ProblemType {
    /// Every kind.
    pub(in crate::api) const ALL: [Self; 23] = [
        Self::Invalid,
        Self::Syntax,
        Self::NotFound,
        Self::Method,
        Self::Exists,
        Self::Contended,
        Self::UnderWay,
        Self::Stale,
        Self::TooLarge,
        Self::MediaType,
        Self::Slow,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::Host,
        Self::ForeignHost,
        Self::ForeignSite,
        Self::KeyReused,
        Self::KeyPending,
        Self::TooMany,
        Self::Unprocessable,
        Self::Denied,
        Self::Unavailable,
        Self::Internal,
    ];

    const fn row(self) -> ProblemRow {
        match self {
            Self::Invalid => ("invalid", 400, "Request not valid"),
            Self::Syntax => ("syntax", 400, "Body is not JSON"),
            Self::NotFound => ("not-found", 404, "Not found"),
            Self::Method => ("method-not-allowed", 405, "Method not allowed"),
            Self::Exists => ("exists", 409, "Name already exists"),
            Self::Contended => ("contended", 409, "Modified concurrently"),
            Self::UnderWay => ("under-way", 409, "Already under way"),
            Self::Stale => ("stale", 412, "Precondition failed"),
            Self::TooLarge => ("too-large", 413, "Body too large"),
            Self::MediaType => ("media-type", 415, "Media type not supported"),
            Self::Slow => ("slow", 408, "Body did not arrive in time"),
            Self::Unauthenticated => ("unauthenticated", 401, "A valid access token is required"),
            Self::Forbidden => ("forbidden", 403, "Not permitted"),
            Self::Host => ("host", 400, "Host header is missing or invalid"),
            Self::ForeignHost => ("foreign-host", 421, "Host name is not allowed"),
            Self::ForeignSite => ("foreign-site", 403, "Request comes from another site"),
            Self::KeyReused => ("key-reused", 422, "Idempotency key was used for another request"),
            Self::KeyPending => ("key-pending", 409, "The first request with this key is not answered yet"),
            Self::TooMany => ("too-many", 429, "Too many requests"),
            Self::Unprocessable => ("unprocessable", 422, "Stored job is not valid"),
            Self::Denied => ("denied", 502, "Another service refuses access"),
            Self::Unavailable => ("unavailable", 503, "Cannot answer now"),
            Self::Internal => ("fault", 500, "Internal error"),
        }
    }

    /// Returns the last segment of its `type`.
    pub(in crate::api) const fn slug(self) -> &'static str {
        self.row().0
    }

    /// Returns its status code.
    pub(in crate::api) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().1).expect("the table holds status codes")
    }

    /// Returns its title.
    pub(in crate::api) const fn title(self) -> &'static str {
        self.row().2
    }

    /// Returns the remedy.
    pub(in crate::api) const fn remedy(self) -> &'static str {
        match self {
            Self::Invalid => "`errors` lists each invalid field by its JSON pointer. Nothing was changed.",
            Self::Syntax => {
                "Send one JSON object in UTF-8, nested at most 100 deep and of at most 20000 values. Nothing was changed."
            }
            Self::NotFound => "`GET /jobs` lists the existing jobs.",
            Self::Method => "The `Allow` header lists the methods of the resource.",
            Self::Exists => "Choose another `id`, or `PUT` the existing job.",
            Self::Contended => "Read the resource again and repeat the request.",
            Self::UnderWay => {
                "Read the resource with `GET`, and wait for the end of what is under way, or stop it with `DELETE`. Nothing was changed."
            }
            Self::Stale => {
                "Read the resource again, and send its new `ETag` in `If-Match`. Nothing was changed."
            }
            Self::TooLarge => "The limit of a body is 262,144 bytes.",
            Self::MediaType => "Send the body with `Content-Type: application/json`.",
            Self::Slow => "Send the whole body within ten seconds. Nothing was changed.",
            Self::Unauthenticated => {
                "Send a token of `ecs-scheduler token create` as `Authorization: Bearer ecss_…`. Nothing was changed."
            }
            Self::Forbidden => {
                "Use a token with the scope or for the jobs that `detail` names. Nothing was changed."
            }
            Self::Host => "Send one `Host` header with the host and port of the server. Nothing was changed.",
            Self::ForeignHost => {
                "Use an IP address, `localhost`, or a name that is in `ECSS_ALLOWED_HOSTS`. Nothing was changed."
            }
            Self::ForeignSite => {
                "Use the API from a program, or from a page of this server. Nothing was changed."
            }
            Self::KeyReused => "Use a fresh key for each new request; keys are remembered for 24 hours.",
            Self::KeyPending => {
                "Wait for `Retry-After` seconds and repeat the same request with the same key."
            }
            Self::TooMany => "Repeat the request after `Retry-After` seconds. Nothing was done.",
            Self::Unprocessable => {
                "`GET /jobs/{id}` lists the errors under `invalid`; correct the fields with `PUT`."
            }
            Self::Denied => {
                "Allow the scheduler the call that `detail` names; `ecs-scheduler iam-policy` prints all that it needs."
            }
            Self::Unavailable => {
                "Repeat the request after `Retry-After` seconds; `GET /readyz` lists the faults. If `detail` says \
                 that the request may have had an effect, look for the effect first, or send an `Idempotency-Key`."
            }
            Self::Internal => {
                "The log has details under the request's `X-Request-Id`; `GET /readyz` lists faults."
            }
        }
    }

    /// Tells whether the same request may succeed later, although its client changes nothing.
    pub(in crate::api) const fn may_pass(self) -> bool {
        matches!(
            self,
            Self::Contended
                | Self::UnderWay
                | Self::KeyPending
                | Self::TooMany
                | Self::Unavailable
                | Self::Internal
        )
    }

    /// Returns the number of seconds after which the same request may succeed.
    pub(in crate::api) fn retry_after(self) -> Option<u16> {
        match self {
            Self::Unavailable | Self::KeyPending => Some(1),
            Self::TooMany => Some(TEST_INTERVAL_SECONDS),
            Self::Invalid
            | Self::Syntax
            | Self::NotFound
            | Self::Method
            | Self::Exists
            | Self::Contended
            | Self::Stale
            | Self::TooLarge
            | Self::MediaType
            | Self::Slow
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::Host
            | Self::ForeignHost
            | Self::ForeignSite
            | Self::KeyReused
            | Self::Unprocessable
            | Self::UnderWay
            | Self::Denied
            | Self::Internal => None,
        }
    }
}
