import { type CaseFilter, Moderation, ParlorError, type ReviewCase } from "@parlor/sdk";
import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { sentence } from "../errors.ts";
import { parlor } from "../session.tsx";

export const desk = new Moderation(parlor.api);

const PAGE = 50;
/** A case that somebody else has just taken should not look free for long. */
const REFRESH_MS = 4_000;
/** A claim lasts five minutes; one renewal may fail. */
const RENEW_MS = 120_000;

const fresh = { staleTime: 0, refetchInterval: REFRESH_MS } as const;

export function useCases(filter: CaseFilter) {
  return useInfiniteQuery({
    queryKey: ["review", "cases", filter],
    queryFn: ({ pageParam }) => desk.cases(filter, pageParam, PAGE),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ cases }) => (cases.length < PAGE ? undefined : cases.at(-1)?.caseId),
    ...fresh,
  });
}

export function useCase(caseId: string) {
  return useQuery({
    queryKey: ["review", "case", caseId],
    queryFn: () => desk.case(caseId),
    retry: (count, error) => !(error instanceof ParlorError) && count < 3,
    ...fresh,
  });
}

export function useSampling() {
  return useQuery({ queryKey: ["review", "status"], queryFn: () => desk.status(), ...fresh });
}

export function useBans() {
  return useQuery({ queryKey: ["review", "bans"], queryFn: () => desk.bans(), ...fresh });
}

export function useLog() {
  return useInfiniteQuery({
    queryKey: ["review", "log"],
    queryFn: ({ pageParam }) => desk.log(pageParam, PAGE),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (entries) => (entries.length < PAGE ? undefined : entries.at(-1)?.entryId),
    ...fresh,
  });
}

/** Whether a case still waits for a decision. */
export function isOpen({ status }: ReviewCase): boolean {
  return status !== "resolved" && status !== "dismissed";
}

// Claims and releases go one after another: a release that overtakes the next claim would give that one up.
let turn: Promise<unknown> = Promise.resolve();
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const result = turn.then(work);
  turn = result.catch(() => undefined);
  return result;
}

/** Has a case claimed for as long as it is `wanted`, and gives it up afterwards. */
export function useClaim(caseId: string, wanted: boolean) {
  const queries = useQueryClient();
  const [problem, setProblem] = useState<string | null>(null);
  const held = useRef(false);

  useEffect(() => {
    if (!wanted) return;
    let left = false;
    const refresh = () => void queries.invalidateQueries({ queryKey: ["review"] });
    const claim = async () => {
      if (left) return;
      try {
        await desk.claim(caseId);
        held.current = true;
        setProblem(null);
      } catch (error) {
        held.current = false;
        setProblem(sentence(error));
      }
      refresh();
    };
    const release = async () => {
      if (!held.current) return;
      held.current = false;
      await desk.release(caseId).catch(() => undefined);
      refresh();
    };
    void inTurn(claim);
    const timer = setInterval(() => void inTurn(claim), RENEW_MS);
    // Not in turn: a page that goes away has no later.
    const goAway = () => void release();
    window.addEventListener("pagehide", goAway);
    return () => {
      left = true;
      clearInterval(timer);
      window.removeEventListener("pagehide", goAway);
      void inTurn(release);
    };
  }, [caseId, wanted, queries]);

  /** The case is decided: there is nothing left to give up. */
  const settle = () => {
    held.current = false;
  };
  return { problem: wanted ? problem : null, settle };
}
