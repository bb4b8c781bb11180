//! Schedules against recordings of the Python version, brute force and saffron.

mod conformance;
mod oracle;
