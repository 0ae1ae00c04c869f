import { toEvent } from "../../notifications/notification.ts";
import { toRecord } from "../../publishing/published-event.ts";
import type { Route } from "../context.ts";
import { readJsonBody } from "../publish-body.ts";
import { Query } from "../query.ts";
import { publishRecords, publishRules } from "./publish.ts";

/** POST /notifications/{kind}: an event of a closed form. */
export const notificationsRoute: Route = {
  path: "/notifications/:kind",
  access: "caller",
  summary: "POST publishes a notification to a user, a channel, a client or all",
  methods: {
    POST: async (context, route) => {
      const { request, path, principal } = route;
      void new Query(request.url, []);
      const rules = publishRules(context, principal);
      const body = await readJsonBody(request, context.maxBodyBytes);
      const event = toEvent(path["kind"] ?? "", body);
      return publishRecords(context, route, [toRecord(event, "", rules)]);
    },
  },
};
