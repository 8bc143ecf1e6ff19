//! Where the files of native servers lie, and whose they are.
//!
//! It knows folders and what protects them, and nothing of how a server is started.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{
    Rung, Scope,
    account::{self, Account},
    supervisor,
};
use crate::{
    Kind,
    checkout::{Checkout, write_private},
    error::{Error, ErrorKind},
    manage::ServerStatus,
    report::{Event, Reporter},
};

/// The least free space in kilobytes for which a test cluster is kept in memory: containers often have 64 MB there.
const LEAST_MEMORY: u64 = 768 * 1024;

/// The file in a run folder that says whose it is.
const OWNER: &str = "owner.json";

/// Whose server a run folder belongs to.
#[derive(serde::Serialize, serde::Deserialize)]
struct Owner {
    application: String,
    root: PathBuf,
    checkout: String,
    namespace: String,
    kind: Kind,
    data: PathBuf,
}

/// Where the files of one server lie.
pub(super) struct Place {
    /// Socket, FIFO and script: private, short, in the temporary folder.
    pub(super) run: PathBuf,
    /// The cluster.
    pub(super) data: PathBuf,
    /// The server's log.
    pub(super) log: PathBuf,
    /// Who runs the server, when not we ourselves.
    pub(super) account: Option<Account>,
}

/// The folder with the socket of a namespace's server.
pub(crate) async fn run_folder(scope: &Scope<'_>) -> Result<PathBuf, Error> {
    let uid = account::own_uid().await?;
    Ok(run_folder_of(
        uid,
        &scope.checkout.id,
        scope.namespace,
        scope.kind,
    ))
}

fn run_folder_of(uid: u32, checkout: &str, namespace: &str, kind: Kind) -> PathBuf {
    let digest = Sha256::digest(format!("{checkout} {namespace} {}", kind.name()));
    let name = format!("underlay-{uid}-{}", hex::encode(&digest[..5]));
    // A socket's path may have about a hundred bytes, and `/.s.PGSQL.5432.lock` is appended.
    let mut folder = env::temp_dir();
    if folder.as_os_str().len() + name.len() > 80 {
        folder = PathBuf::from("/tmp");
    }
    folder.join(name)
}

fn failure(message: String) -> Error {
    Error::new(ErrorKind::Native, message)
}

/// Decides where the files lie and creates the folders.
pub(super) async fn prepare(scope: &Scope<'_>) -> Result<Place, Error> {
    let uid = account::own_uid().await?;
    let account = if uid == 0 {
        Some(account::for_root().await?)
    } else {
        None
    };
    let run = run_folder_of(uid, &scope.checkout.id, scope.namespace, scope.kind);
    private_folder(&run, uid, account.as_ref())?;
    let state = scope.folder();
    let data = data_folder(scope, uid, account.as_ref()).await?;
    let owner = Owner {
        application: scope.application.to_owned(),
        root: scope.checkout.root.clone(),
        checkout: scope.checkout.id.clone(),
        namespace: scope.namespace.to_owned(),
        kind: scope.kind,
        data: data.clone(),
    };
    let text = serde_json::to_vec_pretty(&owner)
        .map_err(|error| failure(format!("cannot describe a server: {error}")))?;
    write_private(&run.join(OWNER), &text)?;
    Ok(Place {
        run,
        data,
        log: state.join(format!("{}.log", scope.kind.stem())),
        account,
    })
}

async fn data_folder(
    scope: &Scope<'_>,
    uid: u32,
    account: Option<&Account>,
) -> Result<PathBuf, Error> {
    let name = format!("underlay-{uid}-{}", scope.checkout.id);
    let outer = match scope.kind {
        Kind::Run => {
            match account.and_then(|account| account::barrier(&scope.checkout.state, account)) {
                None => return Ok(scope.folder().join("postgres")),
                Some(barrier) => {
                    let outer = Path::new("/var/tmp").join(&name);
                    let message = format!(
                        "the data of PostgreSQL lies in {}, because root may not run it and {} is closed to others",
                        outer.display(),
                        barrier.display()
                    );
                    scope.reporter.report(Event::Debug { message: &message });
                    outer
                }
            }
        }
        Kind::Test => {
            let disk = env::temp_dir().join(&name);
            let memory = Path::new("/dev/shm").join(&name);
            // Where a cluster is already, it stays, whatever space is left.
            if disk.exists() || (!memory.exists() && !has_memory().await) {
                disk
            } else {
                memory
            }
        }
    };
    private_folder(&outer, uid, None)?;
    if account.is_some() {
        // The account that runs the server must get through.
        fs::set_permissions(&outer, fs::Permissions::from_mode(0o711))
            .map_err(|error| Error::state("open", &outer, &error))?;
    }
    Ok(outer.join(format!("{}-{}", scope.namespace, scope.kind.stem())))
}

/// Whether `/dev/shm` is there with room for a cluster and the databases of many tests.
async fn has_memory() -> bool {
    let folder = Path::new("/dev/shm");
    folder.is_dir()
        && super::free_kilobytes(folder)
            .await
            .is_some_and(|kilobytes| kilobytes >= LEAST_MEMORY)
}

/// Creates a folder that only its owner can enter; refuses one that somebody else has put in its place.
fn private_folder(path: &Path, uid: u32, account: Option<&Account>) -> Result<(), Error> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {
            if let Some(account) = account {
                chown(path, Some(account.uid), Some(account.gid))
                    .map_err(|error| Error::state("give away", path, &error))?;
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let metadata = fs::symlink_metadata(path)
                .map_err(|error| Error::state("look at", path, &error))?;
            let owner = account.map_or(uid, |account| account.uid);
            if metadata.is_dir() && metadata.uid() == owner && metadata.mode() & 0o022 == 0 {
                return Ok(());
            }
            Err(failure(format!(
                "{} is not a private folder of ours (owner {}, mode {:03o}); remove it",
                path.display(),
                metadata.uid(),
                metadata.mode() & 0o777,
            )))
        }
        Err(error) => Err(Error::state("create", path, &error)),
    }
}

pub(super) fn remove_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::state("remove", path, &error))
        }
        _ => Ok(()),
    }
}

/// The run folders of this user, with whose they are; of all checkouts.
async fn owners() -> Result<Vec<(PathBuf, Owner)>, Error> {
    let prefix = format!("underlay-{}-", account::own_uid().await?);
    let mut parents = vec![env::temp_dir(), PathBuf::from("/tmp")];
    parents.dedup();
    let mut owners = Vec::new();
    for parent in parents {
        let Ok(entries) = fs::read_dir(&parent) else {
            continue;
        };
        for entry in entries.flatten() {
            if !entry.file_name().to_string_lossy().starts_with(&prefix) {
                continue;
            }
            // Other folders of ours have no such file; one that is being written is a server that is not up yet.
            let text = fs::read(entry.path().join(OWNER)).unwrap_or_default();
            if let Ok(owner) = serde_json::from_slice(&text) {
                owners.push((entry.path(), owner));
            }
        }
    }
    Ok(owners)
}

/// The native servers of this user that run, of all checkouts.
pub(crate) async fn running_natives() -> Result<Vec<ServerStatus>, Error> {
    let mut servers = Vec::new();
    for (run, owner) in owners().await? {
        let Some(postmaster) = supervisor::postmaster(&owner.data) else {
            continue;
        };
        if !supervisor::is_there(&run)?
            && !supervisor::is_postmaster_of(postmaster.pid, &owner.data).await
        {
            continue;
        }
        let folder = Checkout {
            root: owner.root.clone(),
            state: owner.root.join(".underlay"),
            id: owner.checkout.clone(),
        };
        let rung = match super::record::read(&folder, &owner.namespace, owner.kind) {
            Ok(Some(record)) => record.rung,
            _ => Rung::Native,
        };
        servers.push(ServerStatus {
            application: owner.application,
            root: owner.root,
            checkout: owner.checkout,
            namespace: owner.namespace,
            kind: owner.kind,
            rung,
            is_running: true,
            address: Some(run.display().to_string()),
            name: format!("process {}", postmaster.pid),
            status: String::new(),
        });
    }
    Ok(servers)
}

/// Stops the native servers of a namespace, and removes their run folders; says what it stopped.
pub(crate) async fn stop_natives(
    checkout: &Checkout,
    namespace: &str,
) -> Result<Vec<String>, Error> {
    let mut stopped = Vec::new();
    for (run, owner) in owners().await? {
        if owner.checkout != checkout.id || owner.namespace != namespace {
            continue;
        }
        if let Some(postmaster) = supervisor::postmaster(&owner.data)
            && supervisor::is_postmaster_of(postmaster.pid, &owner.data).await
        {
            supervisor::stop_server(postmaster.pid, &owner.data).await?;
            stopped.push(format!(
                "postgres {} (process {})",
                owner.kind.name(),
                postmaster.pid
            ));
        }
        remove_folder(&run)?;
    }
    Ok(stopped)
}

/// Removes the run folders and test clusters of checkouts that are gone: worktrees come and go, and memory is dear.
///
/// A cluster with data to keep is left alone, because a checkout on a disk that is not mounted is only away.
pub(super) async fn remove_abandoned(reporter: &dyn Reporter) -> Result<(), Error> {
    for (run, owner) in owners().await? {
        if owner.root.exists() || supervisor::is_there(&run)? {
            continue;
        }
        let data = if owner.kind == Kind::Test {
            remove_folder(&owner.data)
        } else {
            Ok(())
        };
        // What cannot be removed costs space, and must not cost this start.
        let message = match data.and_then(|()| remove_folder(&run)) {
            Ok(()) => format!("removed what was left of {}", owner.root.display()),
            Err(error) => format!("something is left of {}: {error}", owner.root.display()),
        };
        reporter.report(Event::Debug { message: &message });
    }
    Ok(())
}

/// The folders with the clusters of a namespace that lie outside the checkout.
pub(crate) async fn data_folders(
    checkout: &Checkout,
    namespace: &str,
) -> Result<Vec<PathBuf>, Error> {
    let name = format!("underlay-{}-{}", account::own_uid().await?, checkout.id);
    let parents = [
        PathBuf::from("/var/tmp"),
        PathBuf::from("/dev/shm"),
        env::temp_dir(),
    ];
    let mut folders = Vec::new();
    for parent in parents {
        for kind in [Kind::Run, Kind::Test] {
            let folder = parent
                .join(&name)
                .join(format!("{namespace}-{}", kind.stem()));
            if folder.exists() && !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_folder_is_short_and_its_own() {
        let folder =
            |checkout, namespace, kind| run_folder_of(4_294_967_294, checkout, namespace, kind);
        let default = folder("0123abcd", "default", Kind::Run);
        assert_ne!(default, folder("0123abce", "default", Kind::Run));
        assert_ne!(default, folder("0123abcd", "other", Kind::Run));
        assert_ne!(default, folder("0123abcd", "default", Kind::Test));
        assert!(
            default.join(".s.PGSQL.5432.lock").as_os_str().len() < 104,
            "{}",
            default.display()
        );
    }
}
