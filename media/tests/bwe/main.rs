//! The estimator on links that a seed makes: it fills them, keeps their queues short, and lets nobody starve.

mod capacity;
mod flow;
mod hostile;
mod link;
mod scenarios;
