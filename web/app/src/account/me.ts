import type { Earned, Me, PresenceOfMe, Status } from "@parlor/sdk";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { parlor, useSession } from "../session.tsx";

/** What the server knows of oneself, shared by the menu and the settings. */
export function useMe(): Me | undefined {
  const { user } = useSession();
  const enabled = user !== null;
  const queryFn = () => parlor.accounts.me();
  // Another role asks anew; until the answer is there, what was known stands.
  const queryKey = ["me", user?.id, user?.role];
  return useQuery({ queryKey, queryFn, enabled, placeholderData: keepPreviousData }).data;
}

export function usePresence(): PresenceOfMe | undefined {
  const { user } = useSession();
  const queryFn = () => parlor.accounts.presence();
  return useQuery({ queryKey: ["presence", "me"], queryFn, enabled: user !== null }).data;
}

export function useTrust(): Earned | undefined {
  const { user } = useSession();
  return useQuery({ queryKey: ["trust"], queryFn: () => parlor.accounts.trust(), enabled: user !== null })
    .data;
}

/** Says that something about oneself is different now. */
export function useRefresh(): (...what: ("me" | "logins" | "passkeys" | "trust")[]) => Promise<void> {
  const queries = useQueryClient();
  return async (...what) => {
    await Promise.all(what.map((key) => queries.invalidateQueries({ queryKey: [key] })));
  };
}

/** Chooses as what one is seen; what one says of oneself stays unless it is given. */
export function useShowAs(): (status: Status, text?: string | null) => Promise<void> {
  const queries = useQueryClient();
  return async (status, text) => {
    const queryFn = () => parlor.accounts.presence();
    const before = (await queries.ensureQueryData<PresenceOfMe>({ queryKey: ["presence", "me"], queryFn }))
      .wish;
    const wish =
      text === undefined ? { text: before?.text ?? null, textUntil: before?.textUntil ?? null } : { text };
    queries.setQueryData(["presence", "me"], await parlor.accounts.showAs({ status, ...wish }));
  };
}
