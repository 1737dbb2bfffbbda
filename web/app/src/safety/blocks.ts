import { useQuery, useQueryClient } from "@tanstack/react-query";
import { parlor } from "../session.tsx";

const KEY = ["blocks"];

/** Whom one has blocked; asked for when something that shows it is there. */
export function useBlocks() {
  const { data, error, isPending } = useQuery({ queryKey: KEY, queryFn: () => parlor.api.blocks() });
  return { blocks: data ?? [], error, isPending };
}

/** Blocks, or takes it back. Throws what the server says. */
export function useBlocking(): (userId: string, blocked: boolean) => Promise<void> {
  const queries = useQueryClient();
  return async (userId, blocked) => {
    await (blocked ? parlor.api.block(userId) : parlor.api.unblock(userId));
    await queries.invalidateQueries({ queryKey: KEY });
  };
}
