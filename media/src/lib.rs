//! The media core of Parlor.
