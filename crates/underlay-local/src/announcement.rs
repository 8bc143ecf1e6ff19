//! Where the application that has a checkout's messages open is reached, for tools that cannot open them as well.
//!
//! The address lies in a file beside the messages. The application holds a lock on that file, which the kernel gives back
//! however the process ends: what a killed one left behind is known to be stale, even if somebody else listens there
//! by now.

use std::{
    fs::{self, File, TryLockError},
    io::{ErrorKind as Io, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use crate::{
    checkout::Checkout,
    error::{Error, ErrorKind},
    provision::topics_file,
};

/// An address that others find for as long as this lives.
#[derive(Debug)]
pub struct Announcement {
    path: PathBuf,
    _locked: File,
}

impl Announcement {
    /// Announces where the process is reached that has this file of messages open.
    ///
    /// `None` if it listens on one address of another network only: there, callers from this machine cannot be told from
    /// others.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn new(messages: &Path, address: SocketAddr) -> Result<Option<Self>, Error> {
        let Some(address) = on_this_machine(address) else {
            return Ok(None);
        };
        let path = beside(messages);
        let new = path.with_extension("address-new");
        // Renamed when it is complete and locked: nobody sees one that is neither stale nor true.
        let write = || -> std::io::Result<File> {
            let mut file = File::create(&new)?;
            file.lock()?;
            writeln!(file, "{address}")?;
            fs::rename(&new, &path)?;
            Ok(file)
        };
        match write() {
            Ok(file) => Ok(Some(Self {
                path,
                _locked: file,
            })),
            Err(error) => Err(Error::state("write", &path, &error)),
        }
    }

    /// Where the application of this name is reached that uses a namespace now; `None` if none does, or none that
    /// serves.
    ///
    /// # Errors
    ///
    /// When there is a file that cannot be read.
    pub fn find(
        checkout: &Checkout,
        namespace: &str,
        application: &str,
    ) -> Result<Option<SocketAddr>, Error> {
        let folder = checkout.state.join(namespace);
        read(&beside(Path::new(&topics_file(&folder, application))))
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // What stays is stale as soon as the lock is given back.
        let _ = fs::remove_file(&self.path);
    }
}

fn read(path: &Path) -> Result<Option<SocketAddr>, Error> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == Io::NotFound => return Ok(None),
        Err(error) => return Err(Error::state("open", path, &error)),
    };
    match file.try_lock_shared() {
        Ok(()) => return Ok(None),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(Error::state("lock", path, &error)),
    }
    let mut text = String::new();
    file.read_to_string(&mut text)
        .map_err(|error| Error::state("read", path, &error))?;
    match text.trim().parse() {
        Ok(address) => Ok(Some(address)),
        Err(_) => Err(Error::new(
            ErrorKind::State,
            format!(
                "{} holds no address, though an application has it open; stop that one",
                path.display()
            ),
        )),
    }
}

/// The file for the address of whoever has a file of messages open.
fn beside(messages: &Path) -> PathBuf {
    let mut name = messages.as_os_str().to_owned();
    name.push(".address");
    PathBuf::from(name)
}

/// How this machine reaches what listens on an address, over loopback.
fn on_this_machine(address: SocketAddr) -> Option<SocketAddr> {
    let ip = match address.ip() {
        ip if ip.to_canonical().is_loopback() => ip,
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_while_its_owner_lives() {
        let folder = std::env::temp_dir().join(format!("underlay-address-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let messages = folder.join("topics-shop.redb");
        let path = beside(&messages);
        assert_eq!(path, folder.join("topics-shop.redb.address"));
        assert_eq!(read(&path).unwrap(), None);

        let everywhere: SocketAddr = "0.0.0.0:4001".parse().unwrap();
        let announcement = Announcement::new(&messages, everywhere).unwrap().unwrap();
        assert_eq!(
            read(&path).unwrap(),
            Some("127.0.0.1:4001".parse().unwrap())
        );
        drop(announcement);
        assert_eq!(read(&path).unwrap(), None);
        assert!(!path.exists());

        // As a killed process leaves it.
        fs::write(&path, "127.0.0.1:4001\n").unwrap();
        assert_eq!(read(&path).unwrap(), None);
        let address: SocketAddr = "[::1]:4002".parse().unwrap();
        let announcement = Announcement::new(&messages, address).unwrap();
        assert_eq!(read(&path).unwrap(), Some(address));
        drop(announcement);

        let elsewhere = "192.0.2.1:4000".parse().unwrap();
        assert!(Announcement::new(&messages, elsewhere).unwrap().is_none());
        fs::remove_dir_all(&folder).unwrap();
    }
}
