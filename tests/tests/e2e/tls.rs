//! TLS towards a database, as with the servers of clouds: an authority of one's own, the names in certificates, client
//! certificates. What does not fit is refused at the start, by one sentence that says what to do and holds no key.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
};

use expect_test::{Expect, expect};
use libtest_mimic::Trial;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use serde_json::{Value, json};

use crate::{
    application::{Application, eventually},
    faults::{entry, ledger},
    folder::Folder,
    plain_server::PlainServer,
    pooler::GRANT,
    servers::{Need, trial},
};

pub(crate) fn trials() -> Vec<Trial> {
    let native = &[Need::Native];
    vec![
        trial("tls::own_authority", native, own_authority),
        trial("tls::another_name", native, another_name),
        trial("tls::unknown_authority", native, unknown_authority),
        trial("tls::unfit_certificate", native, unfit_certificate),
        trial("tls::client_certificate", native, client_certificate),
        trial("tls::replica_and_migrator", native, replica_and_migrator),
        trial("tls::server_without_tls", native, server_without_tls),
        trial("tls::server_that_wants_tls", native, server_that_wants_tls),
        trial("tls::name_is_sent", &[], name_is_sent),
        trial("tls::no_pem", &[], no_pem),
    ]
}

/// Who signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in PEM.
struct Certified {
    certificate: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    fn sign(&self, params: &CertificateParams) -> Certified {
        let key = KeyPair::generate().unwrap();
        Certified {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// A server's certificate for names and addresses.
    fn server(&self, names: &[&str]) -> Certified {
        self.sign(&server_params(names))
    }

    /// A role's certificate, as `client_cert` has it.
    fn client(&self, role: &str) -> Value {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, role);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let Certified { certificate, key } = self.sign(&params);
        json!({ "cert": certificate, "key": key })
    }
}

fn server_params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&it| it.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// Lets in over TCP whoever comes with TLS and says who he is.
const TRUST: &str = "hostssl all all 127.0.0.1/32 trust";
/// Lets in whoever has a certificate with the role's name.
const CERT: &str = "hostssl all all 127.0.0.1/32 cert";

/// A server with TLS, which knows the clients of an authority.
fn server(folder: &Folder, hba: &str, certified: &Certified, clients: &Authority) -> PlainServer {
    let settings = [
        "ssl=on",
        // Relative to the folder of its data.
        "ssl_cert_file=../server.crt",
        "ssl_key_file=../server.key",
        "ssl_ca_file=../clients.crt",
    ];
    let server = PlainServer::new(folder, "server", &settings);
    let owner = fs::metadata(&server.home).unwrap();
    for (name, text) in [
        ("server.crt", &certified.certificate),
        ("server.key", &certified.key),
        ("clients.crt", &clients.pem),
    ] {
        let path = server.home.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let rules = format!("local all postgres trust\n{hba}\n");
    fs::write(server.home.join("data/pg_hba.conf"), rules).unwrap();
    server.start();
    server.psql("CREATE DATABASE ledger").unwrap();
    server
}

/// The entry of a server by a name of this machine.
fn tls_entry(server: &PlainServer, host: &str, tls: Value) -> Value {
    let mut entry = entry(&format!("{host}:{}", server.port), json!({}));
    entry["tls_config"] = tls;
    entry
}

/// Starts the ledger on this entry, and sees that it writes and that all its sessions are encrypted.
#[track_caller]
fn serves(folder: &Folder, server: &PlainServer, entry: &Value) {
    let application = ledger(folder, entry).serve();
    assert_eq!(application.post("/entries/a", Value::Null).status, 200);
    assert!(sessions(server) > 0);
    stop(application);
}

/// How many sessions the server has with the ledger, all of which must be encrypted.
#[track_caller]
fn sessions(server: &PlainServer) -> usize {
    let sessions = server
        .psql("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = 'ledger'")
        .unwrap();
    assert!(sessions.lines().all(|it| it == "t"), "{sessions}");
    sessions.lines().count()
}

#[track_caller]
fn stop(application: Application<'_>) {
    let ended = application.stop();
    assert!(!ended.output.contains("PRIVATE"), "{}", ended.output);
}

/// Starts the ledger on this entry, and compares why it does not start.
#[track_caller]
fn refuses(folder: &Folder, entry: &Value, expected: &Expect) {
    expected.assert_eq(&refusal(folder, entry));
}

/// Why the ledger does not start on this entry.
#[track_caller]
fn refusal(folder: &Folder, entry: &Value) -> String {
    let host = entry["host"].as_str().unwrap();
    let (name, _) = host.rsplit_once(':').unwrap();
    let refusal = ledger(folder, entry).refusal();
    assert!(!refusal.contains("PRIVATE"), "{refusal}");
    refusal.replace(host, &format!("{name}:<port>"))
}

fn own_authority() {
    let folder = Folder::new();
    let authority = Authority::new("ours");
    let certified = authority.server(&["localhost", "127.0.0.1"]);
    let server = server(&folder, TRUST, &certified, &authority);
    for host in ["localhost", "127.0.0.1"] {
        let entry = tls_entry(&server, host, json!({ "ca": authority.pem }));
        serves(&folder, &server, &entry);
    }
    // A bundle, as clouds publish them.
    let bundle = format!(
        "of 2019\n{}\nof 2024\n{}",
        Authority::new("another").pem,
        authority.pem
    );
    let entry = tls_entry(&server, "localhost", json!({ "ca": bundle }));
    serves(&folder, &server, &entry);
}

fn another_name() {
    let folder = Folder::new();
    let authority = Authority::new("ours");
    let certified = authority.server(&["db.example"]);
    let server = server(&folder, TRUST, &certified, &authority);
    refuses(
        &folder,
        &tls_entry(&server, "localhost", json!({ "ca": authority.pem })),
        &expect![[
            r#"database `ledger` on localhost:<port>: TLS with the server failed: invalid peer certificate: certificate not valid for name "localhost"; certificate is only valid for DnsName("db.example"); use a name that is in it as `host`, or say `disable_tls_hostname_verification`"#
        ]],
    );
    let tls = json!({ "ca": authority.pem, "disable_tls_hostname_verification": true });
    serves(&folder, &server, &tls_entry(&server, "localhost", tls));
    // The name is all that is let pass.
    refuses(
        &folder,
        &tls_entry(
            &server,
            "localhost",
            json!({ "ca": Authority::new("another").pem, "disable_tls_hostname_verification": true }),
        ),
        &expect![
            "database `ledger` on localhost:<port>: TLS with the server failed: invalid peer certificate: UnknownIssuer; its authority is not known: give that as `tls_config.ca`"
        ],
    );
}

fn unknown_authority() {
    let folder = Folder::new();
    let authority = Authority::new("ours");
    let certified = authority.server(&["localhost"]);
    let server = server(&folder, TRUST, &certified, &authority);
    // Nothing said: the public authorities.
    let mut entry = tls_entry(&server, "localhost", Value::Null);
    entry.as_object_mut().unwrap().remove("tls_config");
    let refused = refusal(&folder, &entry);
    expect!["database `ledger` on localhost:<port>: TLS with the server failed: invalid peer certificate: UnknownIssuer; its authority is not known: give that as `tls_config.ca`"].assert_eq(&refused);
    let tls = json!({ "ca": Authority::new("another").pem });
    assert_eq!(
        refusal(&folder, &tls_entry(&server, "localhost", tls)),
        refused
    );
    let tls = json!({ "ca": Authority::new("ours").pem });
    refuses(
        &folder,
        &tls_entry(&server, "localhost", tls),
        &expect![
            "database `ledger` on localhost:<port>: TLS with the server failed: invalid peer certificate: BadSignature; its authority is another one than that of the same name in `tls_config.ca`: give the server's"
        ],
    );
    let tls = json!({ "disable_ca_validation": true });
    serves(&folder, &server, &tls_entry(&server, "localhost", tls));
}

fn unfit_certificate() {
    let authority = Authority::new("ours");
    let mut late = server_params(&["localhost"]);
    late.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let mut early = server_params(&["localhost"]);
    early.not_before = rcgen::date_time_ymd(3000, 1, 1);
    let mut own = server_params(&["localhost"]);
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for (params, expected, what_to_do) in [
        (
            late,
            "certificate expired: ",
            "renew the server's certificate, or correct this machine's clock",
        ),
        (
            early,
            "certificate not valid yet: ",
            "correct this machine's clock, or the server's certificate",
        ),
        (
            own,
            "CaUsedAsEndEntity",
            "it is an authority's own: give the server another one, which that has signed",
        ),
    ] {
        let folder = Folder::new();
        let server = server(&folder, TRUST, &authority.sign(&params), &authority);
        let tls = json!({ "ca": authority.pem });
        let refused = refusal(&folder, &tls_entry(&server, "localhost", tls));
        // The times between the two change.
        let (reason, advice) = refused.rsplit_once("; ").unwrap();
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(advice, what_to_do);
    }
}

fn client_certificate() {
    let folder = Folder::new();
    let authority = Authority::new("ours");
    let certified = authority.server(&["localhost"]);
    let server = server(&folder, CERT, &certified, &authority);
    let with = |client: Option<Value>| {
        let mut tls = json!({ "ca": authority.pem });
        if let Some(client) = client {
            tls["client_cert"] = client;
        }
        tls_entry(&server, "localhost", tls)
    };
    serves(&folder, &server, &with(Some(authority.client("postgres"))));
    refuses(
        &folder,
        &with(None),
        &expect![
            "database `ledger` on localhost:<port>: the server does not let the role `postgres` in: connection requires a valid client certificate; give one as `client_cert`"
        ],
    );
    refuses(
        &folder,
        &with(Some(authority.client("somebody"))),
        &expect![[
            r#"database `ledger` on localhost:<port>: the server does not let the role `postgres` in: certificate authentication failed for user "postgres"; the common name of `client_cert` must be the role"#
        ]],
    );
    refuses(
        &folder,
        &with(Some(Authority::new("another").client("postgres"))),
        &expect![
            "database `ledger` on localhost:<port>: TLS with the server failed: received fatal alert: UnknownCA; the server does not trust the authority of our `client_cert`: give one that an authority in its ssl_ca_file has signed"
        ],
    );
    let mut mixed = authority.client("postgres");
    mixed["key"] = authority.client("postgres")["key"].clone();
    refuses(
        &folder,
        &with(Some(mixed)),
        &expect![
            "database `ledger` on localhost:<port>: TLS with the server failed: keys may not be consistent: KeyMismatch; the key in `client_cert` is not that of its certificate"
        ],
    );
}

fn replica_and_migrator() {
    let folder = Folder::new();
    let authority = Authority::new("ours");
    let certified = authority.server(&["localhost"]);
    let server = server(&folder, CERT, &certified, &authority);
    server
        .psql("CREATE ROLE service LOGIN; CREATE ROLE migrator LOGIN; ALTER DATABASE ledger OWNER TO migrator")
        .unwrap();
    server.psql_in("ledger", GRANT).unwrap();
    let mut entry = tls_entry(&server, "localhost", json!({ "ca": authority.pem }));
    entry["databases"]["ledger"] = json!({
        "username": "service",
        "password": "hidden-password",
        "client_cert": authority.client("service"),
        "migrator": { "username": "migrator", "password": "hidden-password" },
    });
    refuses(
        &folder,
        &entry,
        &expect![
            "database `ledger`: as `migrator`: the server does not let the role `migrator` in: connection requires a valid client certificate; give one as `client_cert`"
        ],
    );
    entry["databases"]["ledger"]["migrator"]["client_cert"] = authority.client("migrator");
    // The same server, by a name that is not in its certificate.
    entry["read_replica"] = json!({ "host": format!("127.0.0.1:{}", server.port) });
    let application = ledger(&folder, &entry).serve();
    assert_eq!(application.post("/entries/a", Value::Null).status, 200);
    let owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'entries'";
    assert_eq!(server.psql_in("ledger", owner).unwrap(), "migrator");
    let answer = application.get("/__underlay/health/ready");
    assert_eq!(
        answer.status, 503,
        "the replica's certificate is checked, too"
    );
    stop(application);

    entry["read_replica"]["tls_config"] =
        json!({ "ca": authority.pem, "disable_tls_hostname_verification": true });
    let application = ledger(&folder, &entry).serve();
    assert_eq!(application.post("/entries/b", Value::Null).status, 200);
    assert_eq!(application.get("/entries/count").expect(200).text(), "2");
    assert_eq!(
        sessions(&server),
        2,
        "one with the primary, one with the replica"
    );
    stop(application);
}

fn server_without_tls() {
    let folder = Folder::new();
    let server = PlainServer::new(&folder, "server", &[]);
    server.start();
    server.psql("CREATE DATABASE ledger").unwrap();
    let refused = refusal(&folder, &tls_entry(&server, "localhost", json!({})));
    expect![[r#"database `ledger` on localhost:<port>: TLS with the server failed: server does not support TLS; turn it on there, or say `"tls_config": {"disabled": true}` if the way to it is safe"#]].assert_eq(&refused);
    let tls = json!({ "disable_ca_validation": true });
    assert_eq!(
        refusal(&folder, &tls_entry(&server, "localhost", tls)),
        refused
    );
}

fn server_that_wants_tls() {
    let folder = Folder::new();
    let authority = Authority::new("ours");
    let certified = authority.server(&["localhost"]);
    let server = server(&folder, TRUST, &certified, &authority);
    refuses(
        &folder,
        &tls_entry(&server, "localhost", json!({ "disabled": true })),
        &expect![[
            r#"database `ledger` on localhost:<port>: the server does not let the role `postgres` in: no pg_hba.conf entry for host "127.0.0.1", user "postgres", database "ledger", no encryption; it may want TLS: take `tls_config.disabled` away"#
        ]],
    );
}

/// Where one address serves many, as at Neon, the server learns from the handshake which one is meant.
fn name_is_sent() {
    let folder = Folder::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut entry = entry(&format!("localhost:{port}"), json!({}));
    entry["tls_config"] = json!({});
    let application = ledger(&folder, &entry).spawn();
    let (mut stream, _) = eventually("it connects", || listener.accept().ok());
    stream.set_nonblocking(false).unwrap();
    stream
        .set_read_timeout(Some(crate::application::PATIENCE))
        .unwrap();
    let mut request = [0; 8];
    stream.read_exact(&mut request).unwrap();
    stream.write_all(b"S").unwrap();
    let mut header = [0; 5];
    stream.read_exact(&mut header).unwrap();
    let mut hello = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    stream.read_exact(&mut hello).unwrap();
    // A host name, its length, and the name itself.
    let expected = b"\0\0\x09localhost";
    assert!(hello.windows(expected.len()).any(|it| it == expected));
    application.kill();
}

fn no_pem() {
    let folder = Folder::new();
    let mut entry = entry("localhost:1", json!({}));
    entry["tls_config"] = json!({ "ca": "/etc/ssl/ca.pem" });
    refuses(
        &folder,
        &entry,
        &expect![
            "infra config: sql_servers[0].tls_config.ca: is no certificate in PEM; give the text itself with its line breaks, not encrypted and not the path of a file"
        ],
    );
    let mut client = Authority::new("another").client("postgres");
    let key = client["key"].as_str().unwrap();
    client["key"] = key.replace('\n', "\\n").into();
    entry["tls_config"] = json!({});
    entry["databases"]["ledger"]["client_cert"] = client;
    refuses(
        &folder,
        &entry,
        &expect![
            "infra config: sql_servers[0].databases.ledger.client_cert.key: is no private key in PEM; give the text itself with its line breaks, not encrypted and not the path of a file"
        ],
    );
}
