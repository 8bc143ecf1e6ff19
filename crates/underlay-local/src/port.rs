//! Free ports on the loopback address.

use std::net::{Ipv4Addr, TcpListener};

/// The first free port from `preferred` upwards, within a hundred; else one that the system gives.
///
/// It is free at the moment of the call; only binding it keeps it. `None` when not even the system has one.
pub fn first_free_port(preferred: u16) -> Option<u16> {
    (preferred..=preferred.saturating_add(99))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .or_else(|| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
            Some(listener.local_addr().ok()?.port())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_skipped() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = listener.local_addr().unwrap().port();
        assert_ne!(first_free_port(taken), Some(taken));
    }
}
