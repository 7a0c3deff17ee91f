//! The cases, a file a subject.

mod main_job;
