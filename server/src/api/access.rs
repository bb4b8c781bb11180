//! Who may use what: finds the caller of a request, and checks it against the table of [`scopes`](super::scopes).
//!
//! `doc/security.md` describes the rules. A forwarded request is checked again by the owner of the job: nothing is trusted because of a
//! header.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::MatchedPath;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use ecs_scheduler_core::FiringId;

use super::caller::{Caller, lacking, printed};
use super::firings;
use super::if_match::IfMatch;
use super::problem::{Challenge, Problem, ProblemType};
use super::request::Name;
use super::scopes::{self, Need, Reach, open_resource};
use super::state::AppState;
use crate::access::{AccessToken, TokenRegister, Verdict};

/// How long a resource that needs no token waits for the check of one that is sent.
const OPTIONAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Finds the caller of a request, checks that it may use the route, and that the job in the path is its own.
///
/// # Errors
///
/// 401 without a valid token, 403 if it lacks the scope, 404 for a job or firing of others, 503 when the tokens cannot be read.
pub(super) async fn authorize(app: &AppState, parts: &mut Parts) -> Result<(), Problem> {
    let caller = caller(app, parts).await?;
    parts.extensions.insert(caller);
    Ok(())
}

async fn caller(app: &AppState, parts: &Parts) -> Result<Caller, Problem> {
    let Some(tokens) = &app.access.tokens else { return Ok(Caller::Everybody) };
    let path = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let need = path.and_then(|path| scopes::need(parts.method.as_str(), path));
    let is_open = path.and_then(open_resource).is_some_and(|open| app.access.open.contains(&open));
    if need == Some(Need::Nothing) || (need.is_some() && is_open) {
        return Ok(anyone(tokens, &parts.headers).await);
    }
    let token = authenticate(tokens, &parts.headers).await?;
    let caller = Caller::Token(Arc::clone(&token), Arc::clone(tokens));
    match (need, path) {
        (Some(Need::Scope(scope, reach)), _) => {
            if !token.permits(scope) {
                return Err(lacking(scope));
            }
            ensure_reach(app, &caller, parts, reach).await?;
            Ok(caller)
        }
        // The router answers that there is no such path.
        (Some(Need::Nothing | Need::Token), _) | (None, None) => Ok(caller),
        (None, Some(path)) if scopes::has_path(path) => {
            Err(Problem::new(ProblemType::Method, "The method is not allowed for the requested URL."))
        }
        (None, Some(_)) => {
            let detail = "No token may use this resource: it has no scope.";
            Err(Problem::new(ProblemType::Forbidden, detail))
        }
    }
}

/// Checks that a token for some jobs is used for these jobs.
async fn ensure_reach(app: &AppState, caller: &Caller, parts: &Parts, reach: Reach) -> Result<(), Problem> {
    let Some(labels) = caller.labels() else { return Ok(()) };
    let name = Name::from_uri(&parts.uri);
    match reach {
        Reach::NoJob | Reach::Handler => Ok(()),
        // The handler checks the labels of the new job first, and answers about one that exists as `POST /jobs` does.
        Reach::Job if parts.method == Method::PUT && IfMatch::from_headers(&parts.headers).must_be_new() => {
            name.job().map(drop)
        }
        Reach::Job if caller.sees_job(&*app.store, &name.job()?).await? => Ok(()),
        Reach::Job => Err(Problem::no_job(&name.0)),
        Reach::Firing => {
            let firing = firings::find(app, &FiringId::from_text(&name.0)).await?;
            match firing {
                Some(firing) if caller.sees_history(&*app.store, &firing.job, firing.uid).await? => Ok(()),
                Some(_) | None => Err(firings::no_firing(&name.0)),
            }
        }
        Reach::Whole => {
            let labels = printed(labels);
            let detail = format!(
                "This resource is about all jobs, and the token is only for jobs with the labels {labels}."
            );
            Err(Problem::new(ProblemType::Forbidden, detail))
        }
    }
}

/// Returns the caller of a resource that needs no token. A token that cannot be checked counts as none.
async fn anyone(tokens: &Arc<TokenRegister>, headers: &HeaderMap) -> Caller {
    if !headers.contains_key(AUTHORIZATION) {
        return Caller::Anonymous;
    }
    match tokio::time::timeout(OPTIONAL_TIMEOUT, authenticate(tokens, headers)).await {
        Ok(Ok(token)) => Caller::Token(token, Arc::clone(tokens)),
        Ok(Err(_)) | Err(_) => Caller::Anonymous,
    }
}

async fn authenticate(tokens: &Arc<TokenRegister>, headers: &HeaderMap) -> Result<Arc<AccessToken>, Problem> {
    let refused = |challenge, detail: String| {
        Problem::new(ProblemType::Unauthenticated, detail).with_challenge(challenge)
    };
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let text = match (given.next(), given.next()) {
        (Some(value), None) => value.to_str().ok().and_then(bearer),
        (Some(_), Some(_)) | (None, _) => None,
    };
    let Some(text) = text else {
        let detail = "Send an access token once, as `Authorization: Bearer ecss_…`.".to_owned();
        return Err(refused(Challenge::Token, detail));
    };
    match tokens.verify(text).await? {
        Verdict::Valid(token) => Ok(token),
        Verdict::Expired(at) => {
            Err(refused(Challenge::InvalidToken, format!("The access token has expired at {at}.")))
        }
        Verdict::Unknown => {
            let detail = "The access token is not valid, or was revoked.".to_owned();
            Err(refused(Challenge::InvalidToken, detail))
        }
    }
}

/// Returns the credentials of the scheme `Bearer`, whose name has any case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, credentials) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credentials.trim())
}
