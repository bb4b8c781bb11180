//! What goes over the wire, apart from what is inside: requests and answers as clients see them.

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
