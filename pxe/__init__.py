"""Network boot for strangers: DHCPv4, TFTP, DNS, router advertisements and iPXE scripts; knows nothing of the
appliance.
"""
