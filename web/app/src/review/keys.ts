import { useEffect, useLayoutEffect, useRef, useSyncExternalStore } from "react";

/** What keys do while their page is shown, by the names of `KeyboardEvent.key` in small letters. False leaves the key to the browser. */
export type Keys = Record<string, (() => unknown) | undefined>;

const OFF = "parlor.review.letters-off";
const changed = new Set<() => void>();

/** Letters can be switched off: who speaks to the machine, or hits keys unawares, would decide cases by accident (WCAG 2.1.4). */
export function useLetters(): [on: boolean, set: (on: boolean) => void] {
  const on = useSyncExternalStore(
    (listener) => {
      changed.add(listener);
      return () => void changed.delete(listener);
    },
    () => localStorage.getItem(OFF) === null,
  );
  const set = (next: boolean) => {
    if (next) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "1");
    for (const listener of changed) listener();
  };
  return [on, set];
}

/** Keys for as long as the component lives. */
export function useKeys(keys: Keys): void {
  const [letters] = useLetters();
  const latest = useRef(keys);
  useLayoutEffect(() => {
    latest.current = keys;
  });
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const act = latest.current[event.key.toLowerCase()];
      if (!act || !isForThePage(event) || (event.key.length === 1 && !letters)) return;
      if (act() !== false) event.preventDefault();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [letters]);
}

/** Whether a key is meant for the page: not for the browser, a field that is being filled in, or a dialog. */
function isForThePage(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing)
    return false;
  if (document.querySelector("dialog[open]")) return false;
  const field = event.target instanceof Element ? event.target.closest("input, textarea, select") : null;
  if (!field) return true;
  // A choice takes arrows and space; letters and Escape mean nothing to it.
  return field.matches("input[type=radio], input[type=checkbox]") && /^([a-z?]|Escape)$/.test(event.key);
}
