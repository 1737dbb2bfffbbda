//! A bare UDP echo in a process of its own: what the machine, the kernel and the load generator take without any server.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

/// A running echo; dropping it ends it.
pub(crate) struct Echo {
    child: Child,
    pub address: SocketAddr,
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Echo {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let mut child = Command::new(program).arg("echo").stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let said = child.stdout.as_mut().map(|out| BufReader::new(out).read_line(&mut line));
        said.context("its output is piped")??;
        Ok(Self { child, address: line.trim().parse().context("the echo says where it is")? })
    }
}

/// Says where it is, and sends back whatever comes, until it is killed.
pub(crate) fn run() -> anyhow::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    println!("{}", socket.local_addr()?);
    let mut buffer = [0; 2048];
    loop {
        let (len, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..len], from)?;
    }
}
