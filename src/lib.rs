//! Parlor wires its modules here, bottom first.
