import { type Banned, bannedOf, CloseCode, Parlor, type User, type UserEntry } from "@parlor/sdk";
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";

/** The one client of the page. */
export const parlor = new Parlor();

interface Session {
  status: "loading" | "out" | "in";
  user: User | null;
  /** The close code that ended the session for good. */
  ended: number | null;
  /** The ban that keeps the user out. */
  banned: Banned | null;
  /** The user wants to try again. */
  forgetBan: () => void;
  enter: (entry: UserEntry) => Promise<void>;
  claim: (secret: string) => Promise<void>;
  leave: () => Promise<void>;
}

const Context = createContext<Session | null>(null);

/** Set while there is a cookie to take up: without it the page does not ask, so that a first visit makes no failed request. */
const ENTERED = "parlor.entered";

export function SessionProvider({ children }: { children: ReactNode }) {
  const [user, setUser] = useState<User | null>(null);
  const [status, setStatus] = useState<Session["status"]>(() =>
    localStorage.getItem(ENTERED) ? "loading" : "out",
  );
  const [ended, setEnded] = useState<number | null>(null);
  const [banned, setBanned] = useState<Banned | null>(null);

  const become = useCallback((next: User | null) => {
    setBanned(next ? null : parlor.api.banned);
    setUser(next);
    setStatus(next ? "in" : "out");
    if (next) {
      localStorage.setItem(ENTERED, "1");
      parlor.socket.connect();
    } else {
      localStorage.removeItem(ENTERED);
      parlor.socket.close();
    }
  }, []);

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
    if (localStorage.getItem(ENTERED) && !parlor.api.user) void restore();
    const offs = [
      parlor.socket.on("authenticated", (event) => setUser(event.user)),
      parlor.socket.on("siteRole", (role) => setUser((before) => before && { ...before, role })),
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
      forgetBan: () => setBanned(null),
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
        become(null);
        // Whether the server hears of it or not, this page is signed out.
        await parlor.api.leave().catch(() => undefined);
      },
    }),
    [status, user, ended, banned, become],
  );
  return <Context value={session}>{children}</Context>;
}

export function useSession(): Session {
  const session = useContext(Context);
  if (!session) throw new Error("useSession needs a SessionProvider");
  return session;
}
