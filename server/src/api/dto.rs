//! Data transfer objects: requests and responses, apart from the domain types.

mod decision;
mod firing;
mod job;
mod requests;

pub(super) use decision::{DecisionPage, DecisionView, EvaluationView};
pub(super) use firing::{FiringPage, FiringView};
pub(super) use job::{JobChange, JobDocument, JobPage, JobView, Link, Reference, Removed, schemas};
pub(super) use requests::{
    BrakeRequest, BrakeView, EvaluateJobRequest, EvaluateRequest, FireBody, GivenBody, GivenObservations,
    Preview, PreviewRequest, SuspendRequest,
};
