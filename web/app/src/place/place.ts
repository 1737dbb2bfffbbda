import type { Cluster, Feature, RoomKind } from "@parlor/sdk";
import { useSyncExternalStore } from "react";

/** Whose place this page is of; null: nobody has said, so it is Parlor's own, with all that there is. */
let place: Cluster | null = null;
const listeners = new Set<() => void>();

export function setPlace(next: Cluster): void {
  place = next;
  for (const changed of [...listeners]) changed();
}

export function placeNow(): Cluster | null {
  return place;
}

export function usePlace(): Cluster | null {
  return useSyncExternalStore((changed) => {
    listeners.add(changed);
    return () => listeners.delete(changed);
  }, placeNow);
}

/** Whether something is offered here. The server refuses what is not; the page does not show it. */
export function isOn(feature: Feature): boolean {
  return place?.features[feature] ?? true;
}

/** `isOn` for a component. */
export function useFeatures(): (feature: Feature) => boolean {
  usePlace();
  return isOn;
}

/** What rooms of a kind are an instance of, if it can be switched off. */
const OF_KIND: Partial<Record<RoomKind, Feature>> = {
  forum: "forums",
  dm: "directMessages",
  groupDm: "directMessages",
  match: "matching",
};

export function isKindOn(kind: RoomKind): boolean {
  const feature = OF_KIND[kind];
  return feature === undefined || isOn(feature);
}
