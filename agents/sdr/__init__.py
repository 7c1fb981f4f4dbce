"""What the agents of the AI SDR share: declared settings, people and their addresses, drafts of mails."""
