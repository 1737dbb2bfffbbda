import type { CallType } from "@parlor/sdk";
import { sentence } from "../errors.ts";
import { parlor } from "../session.tsx";

/** Rooms in which this page, and no other device of the person, has begun to ring. */
const started = new Set<string>();

/** Whether this page began to ring there; it does not any more from now on. */
export function takeStarted(roomId: string): boolean {
  return started.delete(roomId);
}

/** Rings people. What follows is shown by `Rings`, wherever one goes. Throws what the server says. */
export async function startCall(roomId: string, type: CallType, participants?: string[]): Promise<void> {
  started.add(roomId);
  try {
    await parlor.ringing.start(roomId, type, participants);
  } catch (error) {
    started.delete(roomId);
    throw error;
  }
}

/** Rings everybody of a direct room; what the server refuses becomes a notice. */
export function useStartCall(onNotice: (notice: string) => void): (roomId: string, type: CallType) => void {
  return (roomId, type) => void startCall(roomId, type).catch((error: unknown) => onNotice(sentence(error)));
}
