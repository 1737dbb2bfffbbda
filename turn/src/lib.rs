//! STUN responder and TURN credentials of Parlor.
