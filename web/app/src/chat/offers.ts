import type { RoomInfo } from "@parlor/sdk";
import { useFeatures, usePlace } from "../place/place.ts";
import type { ChatView } from "./view.ts";

/** What a room offers beside words. Between strangers nothing is kept, and no link is worth a second look. */
export function useOffers(info: RoomInfo | null): Pick<ChatView, "takesFiles" | "showsLinks"> {
  const isOn = useFeatures();
  const isKept = info?.kind !== "match" && info?.settings?.retention !== "none";
  // Few servers look where links lead: it has to be said.
  const looks = usePlace()?.features.previews ?? false;
  return { takesFiles: isOn("files") && isKept, showsLinks: looks && isKept };
}
