import { ParlorError } from "@parlor/sdk";
import i18next from "i18next";

/** What went wrong, as a sentence. The server's own sentences are for people; a network's are not. */
export function sentence(error: unknown): string {
  return error instanceof ParlorError ? error.message : i18next.t("common.unreachable");
}
