//! What is read, from where, and what is not.

mod ship;

use super::*;

fn read(environment: &[(&str, &str)], file: Option<&str>) -> Result<Loaded, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("parlor.toml");
    if let Some(text) = file {
        std::fs::write(&path, text).unwrap();
    }
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Config::from_sources(file.map(|_| path.as_path()), Some(environment))
}

#[test]
fn nothing_set_is_the_documented_default() {
    let loaded = read(&[], None).unwrap();
    assert_eq!(loaded.config, Config::default());
    insta::assert_debug_snapshot!(loaded.config);
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = "listen = '127.0.0.1:1'\ndata_dir = '/from/file'\n[turn]\nttl_s = 60\n";
    let config = read(&[("PARLOR_LISTEN", "[::1]:2"), ("PARLOR_TURN__TTL_S", "120")], Some(file)).unwrap().config;
    assert_eq!(config.listen, SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 2)));
    assert_eq!(config.data_dir, Path::new("/from/file"));
    assert_eq!(config.turn.ttl_s, 120);
}

#[test]
fn lists_are_written_with_commas_or_as_lists() {
    let config = read(&[("PARLOR_TRUSTED_PROXIES", "10.0.0.0/8, ::1")], None).unwrap().config;
    assert_eq!(config.trusted_proxies, ["10.0.0.0/8", "::1/128"].map(|net| net.parse::<IpNet>().unwrap()));
    let config = read(&[], Some("trusted_proxies = ['127.0.0.1']")).unwrap().config;
    assert_eq!(config.trusted_proxies, ["127.0.0.1/32".parse::<IpNet>().unwrap()]);
    assert!(read(&[("PARLOR_TRUSTED_PROXIES", "here")], None).is_err());
}

#[test]
fn media_over_tcp_is_on_the_number_of_the_first_udp_port_unless_told_otherwise() {
    let port = |environment: &[(&str, &str)]| read(environment, None).unwrap().config.sfu().tcp_port;
    assert_eq!(port(&[]), Some(10_000));
    assert_eq!(port(&[("PARLOR_MEDIA_PORT", "7000")]), Some(7000));
    assert_eq!(port(&[("PARLOR_MEDIA_TCP_PORT", "443")]), Some(443));
    assert_eq!(port(&[("PARLOR_MEDIA_TCP_PORT", "0")]), None);
    assert_eq!(port(&[("PARLOR_MEDIA_TCP_PORT", "off")]), None);
    assert!(read(&[("PARLOR_MEDIA_TCP_PORT", "some")], None).is_err());
    assert!(read(&[("PARLOR_MEDIA_ONE_PORT", "true")], None).unwrap().config.sfu().one_port);
}

#[test]
fn features_are_switched_one_by_one() {
    let environment = [("PARLOR_FEATURES__DIRECT_MESSAGES", "false"), ("PARLOR_RECORDING__ENABLED", "false")];
    let config = read(&environment, Some("[features]\nvideo = false\n")).unwrap().config;
    let off: Vec<_> = Feature::ALL.into_iter().filter(|it| !config.features().is_on(*it)).collect();
    // Previews are off unless they are switched on by their own setting; the last three this version does not have.
    let [gifts, tips, encryption] = Feature::UNBUILT;
    let told =
        [Feature::Video, Feature::Recording, gifts, tips, encryption, Feature::DirectMessages, Feature::Previews];
    assert_eq!(off, told);
    assert!(read(&[("PARLOR_FEATURES__VIDEOS", "false")], None).is_err());
    assert!(read(&[("PARLOR_FEATURES__GIFTS", "true")], None).unwrap().config.clusters().is_err());
}

#[test]
fn tls_is_off_or_self_signed() {
    assert_eq!(read(&[("PARLOR_TLS", "self-signed")], None).unwrap().config.tls, Tls::SelfSigned);
    assert_eq!(read(&[("PARLOR_TLS", "off")], None).unwrap().config.tls, Tls::Off);
    assert!(read(&[("PARLOR_TLS", "yes")], None).is_err());
}

#[test]
fn unknown_names_are_told() {
    let environment = [("PARLOR_LISTN", "x"), ("PARLOR_CONFIG", "x"), ("PARLOR_LOG", "debug"), ("OTHER", "x")];
    assert_eq!(read(&environment, None).unwrap().unknown, ["listn"]);
}

#[test]
fn the_page_is_on_localhost_unless_told_otherwise() {
    let config = Config::default();
    assert_eq!(config.page_url("0.0.0.0:3003".parse().unwrap()), "http://localhost:3003");
    assert_eq!(config.page_url("192.0.2.7:80".parse().unwrap()), "http://192.0.2.7:80");
    let config = Config { public_url: Some("https://p.example/".into()), tls: Tls::SelfSigned, ..config };
    assert_eq!(config.page_url("0.0.0.0:3003".parse().unwrap()), "https://p.example");
}
