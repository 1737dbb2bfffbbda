import { type Call, type CallSnapshot, type HostAct, type Member, trackOf, type Waiter } from "@parlor/sdk";
import { createContext, useContext, useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import type { LocalMedia } from "./media.ts";
import type { Rights } from "./rights.ts";

/** What a host's menus need, wherever on the page they are. */
export interface HostTools {
  call: Call;
  snapshot: CallSnapshot;
  /** What we may do to somebody in the room. */
  rights: (userId: string) => Rights;
  /** Does it; what the server refuses is told to the person. */
  act: (work: Promise<void>) => void;
}

const Tools = createContext<HostTools | null>(null);

export const HostToolsProvider = Tools.Provider;

export function useHostTools(): HostTools | null {
  return useContext(Tools);
}

/** Switches our own devices off when a host has: a light that shines for nobody frightens. Once for each time that a host does. */
export function useObedience({ held, participants, participantId }: CallSnapshot, media: LocalMedia): void {
  const { microphone, camera, screen } = held;
  const own = participants.find((participant) => participant.participantId === participantId);
  // Muted with all others: as if we had muted ourselves.
  const shut = own !== undefined && trackOf(own, "microphone")?.muted === true;
  useEffect(() => {
    if (microphone?.reason === "disabled_by_host" || (microphone?.reason === "muted_by_host" && shut))
      media.silence();
  }, [microphone, shut, media]);
  useEffect(() => {
    if (camera?.reason === "disabled_by_host") media.stopCamera();
  }, [camera, media]);
  useEffect(() => {
    if (screen?.reason === "disabled_by_host") media.stopSharing();
  }, [screen, media]);
}

/** Says what a host did to all of us, unless we did it ourselves. */
export function useHostNews(
  call: Call,
  members: readonly Member[],
  userId: string,
  onNotice: (text: string) => void,
): void {
  const { t } = useTranslation();
  useEffect(
    () =>
      call.on("hosted", ({ by, act }) => {
        const key = act && by !== userId ? newsOf(act) : null;
        const name = members.find((member) => member.userId === by)?.nickname ?? t("host.somebody");
        if (key) onNotice(t(`host.news.${key}`, { name }));
      }),
    [call, members, userId, onNotice, t],
  );
}

/** Says who knocks, to hosts who do not see the list of those who wait. */
export function useKnocks(
  waiting: readonly Waiter[],
  isListed: boolean,
  onNotice: (text: string) => void,
): void {
  const { t } = useTranslation();
  const known = useRef(new Set<string>());
  useEffect(() => {
    const last = waiting.at(-1);
    if (last && !isListed && !known.current.has(last.userId))
      onNotice(t("host.knocks", { name: last.nickname }));
    known.current = new Set(waiting.map(({ userId }) => userId));
  }, [waiting, isListed, onNotice, t]);
}

type News =
  | "muteAll"
  | "unmuteAll"
  | "lock"
  | "unlock"
  | "waitingOn"
  | "waitingOff"
  | "camerasOff"
  | "camerasOn"
  | "screensOff"
  | "screensOn";

/** What is news to everybody; what concerns one person they are told otherwise. */
function newsOf(act: HostAct): News | null {
  switch (act.type) {
    case "mute_all":
      return act.muted ? "muteAll" : "unmuteAll";
    case "lock":
      return act.locked ? "lock" : "unlock";
    case "waiting_room":
      return act.enabled ? "waitingOn" : "waitingOff";
    case "disable":
      if (act.target !== "everybody" || (act.source !== "camera" && act.source !== "screen")) return null;
      if (act.source === "camera") return act.disabled ? "camerasOff" : "camerasOn";
      return act.disabled ? "screensOff" : "screensOn";
    default:
      return null;
  }
}
