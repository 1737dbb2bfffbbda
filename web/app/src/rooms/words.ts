import { ParlorError } from "@parlor/sdk";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { parlor } from "../session.tsx";

/** The word of a category; an operator's own ones are words already. */
export function useCategoryWord(): (name: string) => string {
  const { t } = useTranslation();
  return (name) => t(`rooms.category.${name}` as "rooms.category.other", { defaultValue: name });
}

/** The server's categories, each with its word. */
export function useCategories(): [string, string][] {
  const word = useCategoryWord();
  const { data } = useQuery({
    queryKey: ["categories"],
    queryFn: () => parlor.rooms.categories(),
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (data ?? []).map((name) => [name, word(name)]);
}

/** Whether the server refused with one of these codes. */
export function isRefusal(error: unknown, ...codes: string[]): error is ParlorError {
  return error instanceof ParlorError && codes.includes(error.code);
}

/** A moment so many seconds from now, as the server reads it. */
export function inSeconds(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString();
}

/** How long something lasts, for those who choose from a list: in seconds. */
export const SPANS = {
  tenMinutes: 600,
  hour: 3_600,
  day: 86_400,
  week: 604_800,
  // A minute short of the most that the server takes: the way there takes time too.
  fourWeeks: 4 * 604_800 - 60,
} as const;
export type Span = keyof typeof SPANS;
