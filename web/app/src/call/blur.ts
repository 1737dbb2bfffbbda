import type { Track } from "@parlor/sdk";

/**
 * Whether a picture must not be seen clearly. Among strangers (`guarded`) that is so until the server says otherwise, also as long
 * as it says nothing; elsewhere only when it says so.
 */
export function isBlurred(track: Pick<Track, "cleared"> | null, guarded: boolean): boolean {
  return guarded ? track?.cleared !== true : track?.cleared === false;
}
