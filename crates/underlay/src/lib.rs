//! Underlay.
