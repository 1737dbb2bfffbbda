import {
  type Banned,
  bannedOf,
  CloseCode,
  Parlor,
  type ReusedLogin,
  type SignedReceipt,
  type User,
  type UserEntry,
} from "@parlor/sdk";
import { useQueryClient } from "@tanstack/react-query";
import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";

/** The one client of the page. */
export const parlor = new Parlor({ keep: localStorage, tab: sessionStorage });

interface Session {
  status: "loading" | "out" | "in";
  user: User | null;
  /** The close code that ended the session for good. */
  ended: number | null;
  /** The ban that keeps the user out. */
  banned: Banned | null;
  /** The user wants to try again. */
  forgetBan: () => void;
  /** Why the server ended the login of this page, as a code; null: it did not, or one has read it. */
  signedOut: string | null;
  /** Logins that ended because a token of theirs came twice, until one has read it. */
  reused: ReusedLogin[];
  forgetReused: () => void;
  /** How many wrong codes somebody has tried at this account, until one has read it. */
  wrongCodes: number;
  forgetWrongCodes: () => void;
  /** Of what was deleted just now, until one goes on. */
  receipt: SignedReceipt | null;
  forgetReceipt: () => void;
  /** Somebody has come in by an account, or is called otherwise now. */
  accept: (user: User) => void;
  /** Everything of theirs is deleted. */
  erased: (receipt: SignedReceipt) => void;
  enter: (entry: UserEntry) => Promise<void>;
  claim: (secret: string) => Promise<void>;
  leave: () => Promise<void>;
}

const Context = createContext<Session | null>(null);

/** Set while there is a cookie to take up: without it the page does not ask, so that a first visit makes no failed request. */
const ENTERED = "parlor.entered";

export function SessionProvider({ children }: { children: ReactNode }) {
  const queries = useQueryClient();
  const [user, setUser] = useState<User | null>(null);
  const [status, setStatus] = useState<Session["status"]>(() =>
    localStorage.getItem(ENTERED) || parlor.guests?.current ? "loading" : "out",
  );
  const [ended, setEnded] = useState<number | null>(null);
  const [banned, setBanned] = useState<Banned | null>(null);
  const [signedOut, setSignedOut] = useState<string | null>(null);
  const [reused, setReused] = useState<ReusedLogin[]>([]);
  const [wrongCodes, setWrongCodes] = useState(0);
  const [receipt, setReceipt] = useState<SignedReceipt | null>(null);

  const who = useRef<string | null>(null);
  // Who was in last, also when nobody is: what was said to them is not for the next one.
  const told = useRef<string | null>(null);

  const become = useCallback(
    (next: User | null) => {
      setBanned(next ? null : parlor.api.banned);
      who.current = next?.id ?? null;
      setUser(next);
      setStatus(next ? "in" : "out");
      setSignedOut(next ? null : parlor.api.endedBy);
      if (next) {
        setEnded(null);
        if (told.current !== next.id) {
          setReused([]);
          setWrongCodes(0);
        }
        told.current = next.id;
        const reused = parlor.api.takeReused();
        if (reused.length > 0) setReused((before) => [...before, ...reused]);
        const wrong = parlor.api.takeWrongCodes();
        if (wrong > 0) setWrongCodes(wrong);
        setReceipt(null);
        localStorage.setItem(ENTERED, "1");
        parlor.socket.connect();
      } else {
        // A guest of this tab alone is gone; the cookie may hold somebody still.
        if (!parlor.guests?.main) localStorage.removeItem(ENTERED);
        parlor.socket.close();
        // The next one is to see nothing of what this one saw.
        queries.clear();
      }
    },
    [queries],
  );

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    // When the server is away, the session need not be: ask again.
    const restore = () =>
      parlor.api.restore().then(become, () => {
        timer = setTimeout(restore, 3_000);
      });
    // The close code says that it is over, the server's answer says why: a ban with its reason, or another end.
    const farewell = async () => {
      parlor.api.invalidate();
      const left = await parlor.api.restore().catch(() => parlor.api.user);
      if (left) setEnded(CloseCode.Removed);
      else become(null);
    };
    const known = localStorage.getItem(ENTERED) || parlor.guests?.current;
    if (known && !parlor.api.user) void restore();
    const offs = [
      // Another tab has come in as somebody else: nothing of the one before may stay in this one.
      parlor.api.on("userChanged", () => location.reload()),
      parlor.socket.on("authenticated", (event) => setUser(event.user)),
      parlor.socket.on("siteRole", (role) => setUser((before) => before && { ...before, role })),
      parlor.socket.on("frame", (frame) => {
        if (frame.type === "login_reused")
          setReused((before) => [...before, { ...frame.data, at: new Date().toISOString() }]);
        if (frame.type === "codes_guessed") setWrongCodes(frame.data.count);
        // The login was renewed on the open socket: a role that rested may hold now.
        if (frame.type === "authenticated") {
          const before = who.current;
          who.current = frame.data.user.id;
          if (before && before !== frame.data.user.id) location.reload();
          else setUser(frame.data.user);
        }
      }),
      parlor.socket.on("stopped", ({ code }) => {
        if (code === CloseCode.Unauthenticated) become(null);
        else if (code === CloseCode.Removed) void farewell();
        else setEnded(code);
      }),
    ];
    const hurry = () => document.hidden || parlor.socket.hurry();
    window.addEventListener("online", hurry);
    document.addEventListener("visibilitychange", hurry);
    return () => {
      clearTimeout(timer);
      for (const off of offs) off();
      window.removeEventListener("online", hurry);
      document.removeEventListener("visibilitychange", hurry);
    };
  }, [become]);

  const session = useMemo<Session>(
    () => ({
      status,
      user,
      ended,
      banned,
      signedOut,
      reused,
      receipt,
      forgetBan: () => setBanned(null),
      forgetReused: () => setReused([]),
      wrongCodes,
      forgetWrongCodes: () => setWrongCodes(0),
      forgetReceipt: () => setReceipt(null),
      accept: become,
      erased: (done) => {
        become(null);
        setReceipt(done);
      },
      enter: async (entry) => {
        try {
          become(await parlor.api.enter(entry));
        } catch (error) {
          setBanned(bannedOf(error));
          throw error;
        }
      },
      claim: async (secret) => {
        become(await parlor.api.claim(secret));
      },
      leave: async () => {
        const beside = parlor.guests?.current;
        const left = parlor.api.leave().catch(() => undefined);
        become(null);
        // Whether the server hears of it or not, this page is signed out.
        await left;
        if (!parlor.guests?.main) localStorage.removeItem(ENTERED);
        // Without this guest the tab goes on as whom the cookie knows.
        if (beside && parlor.guests?.main) location.assign("/");
      },
    }),
    [status, user, ended, banned, signedOut, reused, wrongCodes, receipt, become],
  );
  return <Context value={session}>{children}</Context>;
}

export function useSession(): Session {
  const session = useContext(Context);
  if (!session) throw new Error("useSession needs a SessionProvider");
  return session;
}
