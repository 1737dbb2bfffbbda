import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
/** A machine may have IPv6 alone. */
const FAMILY = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ family }) => family === "IPv4"),
)
  ? "IPv4"
  : "IPv6";
const LOOPBACK_ADDRESS = FAMILY === "IPv4" ? "127.0.0.1" : "::1";
/** scripts/networks puts the server into a network of its own; the browsers then come over `line`, which is on this side. */
const AWAY = process.env.PARLOR_AWAY;
const ADDRESS = AWAY ?? LOOPBACK_ADDRESS;
const HOST = bracketed(ADDRESS);
const binary = process.env.PARLOR_BIN ?? join(root, "target/debug/parlor");

/** A server of this test's own, with its own data folder and ports. */
export interface Server {
  /** `http://localhost:PORT`: a secure context, so browsers give camera and microphone. */
  url: string;
  /** The administrator's link; a restart prints another one. */
  adminLink: () => string;
  /** Another way to the same server, which the test can break. It stays open as long as the server: pages outlive their test. */
  line: () => Promise<Line>;
  /** What it wrote so far, for a failed test's report. */
  output: () => string;
  /** Stops the program and starts it again on the same data and ports. */
  restart: () => Promise<void>;
  stop: () => Promise<void>;
}

/** What a test wants otherwise than the server does by itself. */
export interface Settings {
  /** The text of a policy file: what is done about what is seen. */
  policy?: string;
  /** How often each picture is looked at. */
  sampleEveryMs?: number;
  /** How long a call rings. */
  ringMs?: number;
  /** With the server's own relay, on a free port. */
  relay?: boolean;
  /** The text of a file of clusters: what the place is called, looks like and offers. */
  clusters?: string;
}

/** Drawings are looked for, and every picture is looked at twice a second: no test waits long, and nothing explicit is needed. */
export const WATCHFUL: Settings = {
  policy: "suspected_every_ms = 300\n[labels]\nDrawing = 0.7\n",
  sampleEveryMs: 500,
};

/** A TCP line to the server: what goes over it can be cut. Media does not go over it. */
export interface Line {
  url: string;
  /** Breaks what is connected, and refuses what comes, until `mend`. */
  cut: () => void;
  /** Lets nothing more through from the server; what the client says still arrives. */
  deafen: () => void;
  mend: () => void;
}

export async function startServer({
  policy,
  sampleEveryMs,
  ringMs,
  relay,
  clusters,
}: Settings = {}): Promise<Server> {
  if (!existsSync(binary))
    throw new Error(`${binary} is missing: run \`cargo build\` first, or set PARLOR_BIN.`);
  const data = mkdtempSync(join(tmpdir(), "parlor-e2e-"));
  const port = await freePort();
  const environment = {
    ...process.env,
    PARLOR_LISTEN: `${HOST}:${port}`,
    PARLOR_DATA_DIR: data,
    PARLOR_WEB_DIR: process.env.PARLOR_WEB_DIR ?? join(root, "web/app/dist"),
    // scripts/networks chooses the ports that it closes.
    PARLOR_MEDIA_PORT: process.env.PARLOR_MEDIA_PORT ?? String(await freeUdpPorts(2)),
    PARLOR_ANNOUNCED_ADDRESS: hostAddress(),
    PARLOR_LIMIT_EXEMPT: AWAY ? "10.77.0.0/24" : "127.0.0.0/8,::1/128",
    PARLOR_TURN__STUN_LISTEN: relay ? `${bracketed(hostAddress())}:${await freeUdpPorts(1)}` : "off",
    PARLOR_MODELS_DIR: join(root, "models"),
    ...(sampleEveryMs === undefined ? {} : { PARLOR_SAMPLE_EVERY_MS: String(sampleEveryMs) }),
    ...(ringMs === undefined ? {} : { PARLOR_ROOMS__RING_MS: String(ringMs) }),
    ...(policy === undefined ? {} : { PARLOR_POLICY_FILE: fileOf(data, "policy.toml", policy) }),
    ...(clusters === undefined ? {} : { PARLOR_CLUSTERS_FILE: fileOf(data, "clusters.toml", clusters) }),
    PARLOR_LOG: process.env.PARLOR_LOG ?? "info",
  };
  let output = "";
  const start = async (): Promise<ChildProcess> => {
    const child = spawn(binary, ["serve"], {
      cwd: data,
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const keep = (chunk: Buffer) => {
      output += chunk.toString();
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    await ready(child, `http://${HOST}:${port}/ready`, () => output);
    return child;
  };

  let child = await start();
  const lines: OpenLine[] = [];
  return {
    url: `http://localhost:${port}`,
    adminLink: () => {
      const links = [...output.matchAll(/admin link: (\S+)/g)].map(([, link]) => link);
      const last = links.at(-1);
      if (!last) throw new Error(`the server printed no administrator's link:\n${output}`);
      return last;
    },
    line: async () => {
      const line = await openLine(port);
      lines.push(line);
      return line;
    },
    output: () => output,
    restart: async () => {
      await end(child);
      child = await start();
    },
    stop: async () => {
      for (const line of lines) await line.close();
      await end(child);
      rmSync(data, { recursive: true, force: true });
    },
  };
}

interface OpenLine extends Line {
  close: () => Promise<void>;
}

async function openLine(port: number): Promise<OpenLine> {
  const open = new Set<Socket>();
  let state: "whole" | "cut" | "deaf" = "whole";
  const proxy = createServer((client) => {
    if (state === "cut") return void client.destroy();
    const server = connect(port, ADDRESS);
    for (const socket of [client, server]) {
      open.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        open.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    client.pipe(server);
    server.on("data", (chunk) => state !== "deaf" && client.write(chunk));
  });
  await new Promise<void>((resolve) => proxy.listen(0, LOOPBACK_ADDRESS, resolve));
  const address = proxy.address();
  const hangUp = () => {
    for (const socket of open) socket.destroy();
  };
  return {
    url: `http://localhost:${address && typeof address === "object" ? address.port : 0}`,
    cut: () => {
      state = "cut";
      hangUp();
    },
    deafen: () => {
      state = "deaf";
    },
    mend: () => {
      state = "whole";
    },
    close: () => {
      hangUp();
      return new Promise((resolve) => proxy.close(() => resolve()));
    },
  };
}

function fileOf(folder: string, name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** Resolves when the server says that it is ready; rejects when it has ended, with what it wrote. */
async function ready(child: ChildProcess, url: string, output: () => string): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}:\n${output()}`);
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok) return;
    if (Date.now() > deadline) throw new Error(`the server is not ready:\n${output()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Ends the process by its own id: politely, then not. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const impatience = setTimeout(() => child.kill("SIGKILL"), 15_000);
  await ended;
  clearTimeout(impatience);
}

/** Firefox ignores loopback candidates unless told otherwise, so the server announces an address of this machine. */
function hostAddress(): string {
  if (AWAY) return AWAY;
  for (const addresses of Object.values(networkInterfaces())) {
    const found = addresses?.find(
      ({ address, family, internal }) => family === FAMILY && !internal && !address.startsWith("fe80:"),
    );
    if (found) return found.address;
  }
  return LOOPBACK_ADDRESS;
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, LOOPBACK_ADDRESS, () => {
      const address = server.address();
      server.close(() =>
        address && typeof address === "object" ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}

/** The first of `count` UDP ports in a row that are free now: one a shard. */
async function freeUdpPorts(count: number): Promise<number> {
  for (;;) {
    const first = 20_000 + Math.floor(Math.random() * 10_000);
    const free = await Promise.all(Array.from({ length: count }, (_, index) => isFreeUdp(first + index)));
    if (free.every(Boolean)) return first;
  }
}

function isFreeUdp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    socket.once("error", () => resolve(false));
    socket.bind(port, "0.0.0.0", () => socket.close(() => resolve(true)));
  });
}
