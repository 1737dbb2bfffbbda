import type { Api } from "./api.js";
import type { ContentLevel } from "./proto.js";

/** What a place may offer or not. What is off is refused with `feature_off` wherever it is used. */
export type Feature =
  | "voice"
  | "video"
  | "share"
  | "recording"
  | "files"
  | "gifts"
  | "tips"
  | "encryption"
  | "moderation"
  | "matching"
  | "forums"
  | "directMessages"
  | "previews";

/** What a page is to look like; null: as it does by itself. */
export interface Theme {
  /** `#rrggbb`: what is to be pressed. */
  accent: string | null;
  /** `#rrggbb`: behind everything. */
  background: string | null;
  /** `#rrggbb`: text. */
  text: string | null;
  /** A path on the server. */
  logo: string | null;
}

/** One of the places of a deployment: the one of the address that the page came from. */
export interface Cluster {
  /** For programs. */
  id: string;
  /** For people. */
  name: string;
  theme: Theme;
  /** By their names; a server that does not name one has not switched it off. */
  features: Partial<Record<Feature, boolean>>;
  maxContentLevel: ContentLevel;
  /** How strictly texts are held. */
  moderationLevel: "none" | "low" | "medium" | "high" | "strict";
  /** How old one has to be, in years. */
  minAge: number;
}

/** Whose place this is, and what it offers; for anybody, signed in or not. */
export function clusterOf(api: Api): Promise<Cluster> {
  return api.read<Cluster>("/cluster");
}
