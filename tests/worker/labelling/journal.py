"""What the stand-in's journal says of our writes, and the labels of these tests."""

HIGH, LOW, UI = "severity: high", "severity: low", "component: ui"
WANTED = {"severity": [HIGH], "component": [UI]}
LABELS = "/repos/{owner}/{repo}/issues/{issue_number}/labels"
CREATE = "/repos/{owner}/{repo}/labels"


def posts(github, route=LABELS):
    """Bodies of the POSTs that GitHub carried out, also where the answer was lost."""
    bot = [line for line in github.requests("POST", route) if "installation" in line["actor"]]
    return [line["body"] for line in bot if line["applied"] and line["status"] < 400]


def writes(github):
    """Every write of ours, carried out or not."""
    return [
        (line["method"], line["path"])
        for line in github.requests()
        if line["method"] != "GET"
        and "installation" in line["actor"]
        and "access_tokens" not in line["path"]
    ]
