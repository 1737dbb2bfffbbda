//! Where addresses are, by a database of the operator's.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use maxminddb::{Reader, path};

use super::Error;
use crate::domain::cluster::Country;

/// A database of countries. It is read once, into memory.
pub(super) struct Atlas(Reader<Vec<u8>>);

impl fmt::Debug for Atlas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Atlas")
    }
}

impl Atlas {
    /// Reads it, and looks whether it is whole.
    pub(super) fn open(file: &Path) -> Result<Self, Error> {
        let unusable = |error: &dyn fmt::Display| Error::Countries { path: file.to_owned(), why: error.to_string() };
        let bytes = std::fs::read(file).map_err(|error| unusable(&error))?;
        let reader = Reader::from_source(bytes).map_err(|error| unusable(&error))?;
        Ok(Self(reader))
    }

    /// The country of an address; that of whoever registered it, where nothing else is known. `None`: nobody knows.
    pub(super) fn country(&self, address: IpAddr) -> Option<Country> {
        let found = self.0.lookup(address.to_canonical()).ok()?;
        let named = |field: &str| found.decode_path::<&str>(&path![field, "iso_code"]).ok().flatten();
        Country::parse(named("country").or_else(|| named("registered_country"))?)
    }
}
