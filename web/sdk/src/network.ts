/** The part of NetworkInformation that says by what a device is connected; not every browser has it. */
interface Connection extends EventTarget {
  type?: string;
}

/**
 * Calls back when the device has come online or changed from one kind of network to another; returns what ends that. The kind is
 * compared because browsers also tell every change of their estimate of the speed.
 */
export function onNetworkChange(changed: () => void): () => void {
  const events: Partial<EventTarget> = globalThis as unknown as EventTarget;
  const connection = (globalThis.navigator as { connection?: Connection } | undefined)?.connection;
  let kind = connection?.type;
  const compare = () => {
    const before = kind;
    kind = connection?.type;
    if (before !== kind && kind !== "none") changed();
  };
  events.addEventListener?.("online", changed);
  connection?.addEventListener("change", compare);
  return () => {
    events.removeEventListener?.("online", changed);
    connection?.removeEventListener("change", compare);
  };
}
