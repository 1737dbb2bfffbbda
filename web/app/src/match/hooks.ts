import { IDLE, type Matcher, type MatchSnapshot } from "@parlor/sdk";
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { LocalMedia } from "../call/media.ts";
import { parlor } from "../session.tsx";

/** Looks for strangers as long as the component lives; whoever closes the page leaves them. */
export function useMatcher(): Matcher | null {
  const [matcher, setMatcher] = useState<Matcher | null>(null);
  useEffect(() => {
    const made = parlor.matcher();
    setMatcher(made);
    const close = () => made.close();
    window.addEventListener("pagehide", close);
    return () => {
      window.removeEventListener("pagehide", close);
      close();
      setMatcher(null);
    };
  }, []);
  return matcher;
}

export function useMatch(matcher: Matcher | null): MatchSnapshot {
  return useSyncExternalStore(
    useCallback((changed: () => void) => matcher?.on("change", changed) ?? (() => undefined), [matcher]),
    () => matcher?.snapshot ?? IDLE,
  );
}

/** Camera and microphone are open while they are wanted, and not a moment longer. */
export function useCapturing(media: LocalMedia, wanted: boolean): void {
  useEffect(() => {
    if (!wanted) return;
    void media.open();
    return () => media.close();
  }, [media, wanted]);
}

/** For the heading of something that has just come: it takes the focus, so that it is read out and Tab goes on from there. */
export function useArrival<E extends HTMLElement>() {
  const heading = useRef<E>(null);
  useEffect(() => heading.current?.focus(), []);
  return heading;
}
