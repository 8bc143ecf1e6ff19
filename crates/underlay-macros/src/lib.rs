//! The attributes and derives: parse, validate, expand.
