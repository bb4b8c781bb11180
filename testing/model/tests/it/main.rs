//! Tests of the model: what holds with every mend, what breaks without one, and that the README's table is true.

mod mends;
mod readme;
mod whole;
