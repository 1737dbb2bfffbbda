//! Load generator of Parlor.
fn main() {}
